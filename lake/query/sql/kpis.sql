-- The KPIs of a whole lake, from Gold, one row each: kpi, unit (count, days or rate), part and whole. The figure is part
-- / whole, or part alone. part_is and whole_is say what is counted: people, an amount per person (days), or other things.
WITH moves AS (
    SELECT
        sum(admissions)::DOUBLE AS admissions,
        sum(discharges)::DOUBLE AS discharges,
        sum(index_discharges_30d)::DOUBLE AS index_discharges,
        sum(readmissions_30d)::DOUBLE AS readmissions
    FROM gold.admissions
),
stays AS (SELECT sum(bed_days) AS bed_days, sum(discharges)::DOUBLE AS discharges FROM gold.length_of_stay),
outcomes AS (SELECT coalesce(sum(discharges) FILTER (disposition = 'expired'), 0)::DOUBLE AS deaths FROM gold.outcomes),
beds AS (
    SELECT
        sum(occupied_midnight)::DOUBLE AS bed_nights,
        count(DISTINCT day)::DOUBLE AS days,
        sum(occupied_midnight) FILTER (staffed_beds IS NOT NULL)::DOUBLE AS occupied,
        sum(staffed_beds)::DOUBLE AS staffed
    FROM gold.occupancy
),
masking AS (
    SELECT sum(rows_scanned - rows_broken)::DOUBLE AS kept, sum(rows_scanned)::DOUBLE AS scanned FROM gold.compliance
)
SELECT
    'admissions' AS kpi, 'count' AS unit, admissions AS part, 'people' AS part_is, 1::DOUBLE AS whole,
    'other' AS whole_is
FROM moves
UNION ALL
SELECT 'discharges', 'count', discharges, 'people', 1, 'other' FROM moves
UNION ALL
SELECT 'deaths', 'count', deaths, 'people', 1, 'other' FROM outcomes
UNION ALL
SELECT 'average length of stay', 'days', bed_days, 'amount', discharges, 'people' FROM stays
UNION ALL
SELECT 'readmitted within 30 days', 'rate', readmissions, 'people', index_discharges, 'people' FROM moves
UNION ALL
SELECT 'patients at midnight, mean', 'count', bed_nights, 'people', days, 'other' FROM beds
UNION ALL
SELECT 'bed occupancy', 'rate', occupied, 'people', staffed, 'other' FROM beds
UNION ALL
SELECT 'masking success', 'rate', kept, 'other', scanned, 'other' FROM masking
