-- Admissions, discharges and transfers of one week, facility and department.
-- week: Monday of the ISO week
-- facility: hospital
-- department: as in admissions
-- admissions: visits admitted
-- discharges: visits discharged, deaths included
-- transfers_in: moves into the department from another one
-- index_discharges_30d: discharges that count for the readmission rate
-- readmissions_30d: of those, the ones followed by an admission of the same patient within 30 days
SELECT
    date_trunc('week', day)::DATE AS week,
    facility,
    department,
    sum(admissions)::BIGINT AS admissions,
    sum(discharges)::BIGINT AS discharges,
    sum(transfers_in)::BIGINT AS transfers_in,
    sum(index_discharges_30d)::BIGINT AS index_discharges_30d,
    sum(readmissions_30d)::BIGINT AS readmissions_30d
FROM gold.admissions
GROUP BY ALL
