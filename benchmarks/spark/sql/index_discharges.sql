-- Index discharges, and whether each was followed by another admission of the patient within 720 hours.
WITH candidates AS (
    SELECT visit_key, patient_key, discharged_at, discharge_day, discharged_in, facility, department, doctor_id
    FROM local_visits, bounds
    WHERE
        discharged_at IS NOT NULL
        AND disposition NOT IN ('expired', 'ama', 'transfer')
        AND discharged_at + INTERVAL 720 HOURS <= data_end
),
followed AS (
    SELECT c.visit_key
    FROM candidates AS c
    LEFT SEMI JOIN visits AS a
        ON c.patient_key = a.patient_key
        AND a.admitted_at > c.discharged_at
        AND a.admitted_at <= c.discharged_at + INTERVAL 720 HOURS
)
SELECT c.discharge_day, c.discharged_in, c.facility, c.department, c.doctor_id, f.visit_key IS NOT NULL AS readmitted
FROM candidates AS c
LEFT JOIN followed AS f ON c.visit_key = f.visit_key
