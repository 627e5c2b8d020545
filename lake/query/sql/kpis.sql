-- The KPIs of a whole lake, from Gold, one row each: kpi, figure, unit (count, days or rate), and the counts of people
-- that the figure follows from. Where one of these is small, the figure is not to be shown.
WITH moves AS (
    SELECT
        sum(admissions)::BIGINT AS admissions,
        sum(discharges)::BIGINT AS discharges,
        sum(index_discharges_30d)::BIGINT AS index_discharges,
        sum(readmissions_30d)::BIGINT AS readmissions
    FROM gold.admissions
),
stays AS (SELECT sum(bed_days) / nullif(sum(discharges), 0) AS alos_days FROM gold.length_of_stay),
outcomes AS (SELECT coalesce(sum(discharges) FILTER (disposition = 'expired'), 0)::BIGINT AS deaths FROM gold.outcomes),
beds AS (
    SELECT
        sum(occupied_midnight)::BIGINT AS bed_nights,
        sum(occupied_midnight) / nullif(count(DISTINCT day), 0) AS census,
        sum(occupied_midnight) FILTER (staffed_beds IS NOT NULL) / nullif(sum(staffed_beds), 0) AS rate
    FROM gold.occupancy
),
masking AS (SELECT 1 - sum(rows_broken) / nullif(sum(rows_scanned), 0) AS rate FROM gold.compliance)
SELECT 'admissions' AS kpi, admissions::DOUBLE AS figure, 'count' AS unit, [admissions] AS people FROM moves
UNION ALL
SELECT 'discharges', discharges, 'count', [discharges] FROM moves
UNION ALL
SELECT 'deaths', deaths, 'count', [deaths] FROM outcomes
UNION ALL
SELECT 'average length of stay', alos_days, 'days', [discharges] FROM stays, moves
UNION ALL
SELECT 'readmitted within 30 days', readmissions / nullif(index_discharges, 0), 'rate', [readmissions, index_discharges]
FROM moves
UNION ALL
SELECT 'patients at midnight, mean', census, 'count', [bed_nights] FROM beds
UNION ALL
SELECT 'bed occupancy', rate, 'rate', [bed_nights] FROM beds
UNION ALL
SELECT 'masking success', rate, 'rate', [] FROM masking
