-- Length of stay of one month's discharges, with totals over facilities and departments.
-- month: first day of the local month of discharge
-- facility: hospital; (all) for all of them
-- department: department at discharge; (all) for all of them
-- discharges: visits discharged, deaths included
-- bed_days: days stayed by them, fractions included
-- alos_days: average length of stay: bed_days / discharges
-- median_los_days: median length of stay, in days; only of one department of one facility
-- Source: OECD Health Statistics, average length of stay.
SELECT
    month,
    if(grouping(facility) = 1, '(all)', facility) AS facility,
    if(grouping(department) = 1, '(all)', department) AS department,
    sum(discharges)::BIGINT AS discharges,
    -- Summed as whole milliseconds: a sum of fractions depends on the order of the rows.
    sum(round(bed_days * 86400000)::BIGINT)::DOUBLE / 86400000 AS bed_days,
    sum(round(bed_days * 86400000)::BIGINT)::DOUBLE / 86400000 / nullif(sum(discharges), 0)::DOUBLE AS alos_days,
    if(grouping(facility) + grouping(department) = 0, any_value(median_los_days), NULL) AS median_los_days
FROM gold.length_of_stay
GROUP BY month, CUBE (gold.length_of_stay.facility, gold.length_of_stay.department)
