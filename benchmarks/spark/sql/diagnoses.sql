-- gold/diagnoses
SELECT
    admitted_in AS month,
    diagnosis_code,
    min(diagnosis) AS diagnosis,
    count(*) AS admissions,
    count(discharged_at) AS discharges,
    CAST(sum(los_us) AS DOUBLE) / count(discharged_at) / 86400000000D AS alos_days,
    count_if(died) AS deaths,
    count_if(severity = 'minor') AS minor,
    count_if(severity = 'moderate') AS moderate,
    count_if(severity = 'major') AS major,
    count_if(severity = 'extreme') AS extreme
FROM local_visits
WHERE diagnosis_code IS NOT NULL
GROUP BY admitted_in, diagnosis_code
