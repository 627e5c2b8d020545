-- Discharges of one month by attending physician and department. Small numbers: read the rates with the volumes.
-- month: first day of the local month of discharge
-- doctor_id: attending physician, as last stated (HL7 PV1-7)
-- department: department at discharge
-- discharges: visits discharged, deaths included
-- alos_days: average length of stay, in days
-- index_discharges_30d: discharges that count for the readmission rate
-- readmissions_30d: of those, the ones followed by an admission of the same patient within 30 days
-- readmission_rate_30d: readmissions_30d / index_discharges_30d; null without an index discharge
-- deaths: discharges with disposition expired
-- mortality_rate: deaths / discharges
-- Source: CMS hospital-wide all-cause readmission measure; OECD Health Statistics, average length of stay.
WITH stayed AS (
    SELECT
        discharged_in AS month,
        doctor_id,
        department,
        count(*) AS discharges,
        sum(los_us)::DOUBLE / count(*) / 86400000000.0::DOUBLE AS alos_days,
        count(*) FILTER (died) AS deaths
    FROM local_visits
    WHERE discharged_in IN (SELECT month FROM months) AND doctor_id IS NOT NULL
    GROUP BY discharged_in, doctor_id, department
),
followed AS (
    SELECT
        discharged_in AS month,
        doctor_id,
        department,
        count(*) AS index_discharges,
        count(*) FILTER (readmitted) AS readmissions
    FROM index_discharges
    WHERE doctor_id IS NOT NULL
    GROUP BY discharged_in, doctor_id, department
)
SELECT
    month,
    doctor_id,
    department,
    discharges,
    alos_days,
    coalesce(index_discharges, 0) AS index_discharges_30d,
    coalesce(readmissions, 0) AS readmissions_30d,
    readmissions / index_discharges AS readmission_rate_30d,
    deaths,
    deaths / discharges AS mortality_rate
FROM stayed
LEFT JOIN followed USING (month, doctor_id, department)
ORDER BY month, doctor_id, department
