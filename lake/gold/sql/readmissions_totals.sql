-- Discharges of one month that count for the readmission rate, with totals over facilities and departments.
-- month: first day of the month of discharge
-- facility: hospital; (all) for all of them
-- department: department at discharge; (all) for all of them
-- index_discharges_30d: discharges that count for the readmission rate
-- readmissions_30d: of those, the ones followed by an admission of the same patient within 30 days
-- readmission_rate_30d: readmissions_30d / index_discharges_30d; null without an index discharge
-- Source: CMS hospital-wide all-cause readmission measure.
SELECT
    month,
    if(grouping(facility) = 1, '(all)', facility) AS facility,
    if(grouping(department) = 1, '(all)', department) AS department,
    sum(index_discharges_30d)::BIGINT AS index_discharges_30d,
    sum(readmissions_30d)::BIGINT AS readmissions_30d,
    (sum(readmissions_30d) / nullif(sum(index_discharges_30d), 0))::DOUBLE AS readmission_rate_30d
FROM gold.admissions
GROUP BY month, CUBE (gold.admissions.facility, gold.admissions.department)
