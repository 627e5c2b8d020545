-- Admissions, discharges and transfers of one day, facility and department; no row where nothing happened.
-- day: local calendar day
-- facility: hospital
-- department: department: of admission for admissions, at discharge for discharges and readmissions, entered for transfers
-- admissions: visits admitted
-- discharges: visits discharged, deaths included
-- transfers_in: moves into the department from another one
-- index_discharges_30d: discharges that count for the readmission rate: alive, not ama, not transfer, 30 days of data after
-- readmissions_30d: of those, the ones followed by an admission of the same patient within 30 days
-- month: first day of the month of day
-- The readmission rate of any period is sum(readmissions_30d) / sum(index_discharges_30d): it belongs to the discharge.
-- Source: CMS hospital-wide all-cause readmission measure; HL7 v2 ADT A01, A02, A03.
WITH moments AS (
    SELECT admit_day AS day, admit_facility AS facility, admit_department AS department, 'admission' AS what
    FROM local_visits
    WHERE admitted_in IN (SELECT month FROM months)
    UNION ALL
    SELECT discharge_day, facility, department, 'discharge' FROM local_visits
    WHERE discharged_in IN (SELECT month FROM months)
    UNION ALL
    SELECT from_day, facility, department, 'transfer' FROM local_stays
    WHERE transfer_in AND date_trunc('month', from_day) IN (SELECT month FROM months)
    UNION ALL
    SELECT discharge_day, facility, department, if(readmitted, 'readmission', 'index') FROM index_discharges
)
SELECT
    day,
    facility,
    department,
    count(*) FILTER (what = 'admission') AS admissions,
    count(*) FILTER (what = 'discharge') AS discharges,
    count(*) FILTER (what = 'transfer') AS transfers_in,
    count(*) FILTER (what IN ('index', 'readmission')) AS index_discharges_30d,
    count(*) FILTER (what = 'readmission') AS readmissions_30d,
    date_trunc('month', day)::DATE AS month
FROM moments
GROUP BY day, facility, department
ORDER BY day, facility, department
