-- gold/doctors
WITH stayed AS (
    SELECT
        discharged_in AS month,
        doctor_id,
        department,
        count(*) AS discharges,
        CAST(sum(los_us) AS DOUBLE) / count(*) / 86400000000D AS alos_days,
        count_if(died) AS deaths
    FROM local_visits
    WHERE discharged_in IS NOT NULL AND doctor_id IS NOT NULL
    GROUP BY discharged_in, doctor_id, department
),
followed AS (
    SELECT
        discharged_in AS month, doctor_id, department, count(*) AS index_discharges, count_if(readmitted) AS readmissions
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
