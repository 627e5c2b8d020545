-- gold/treatments
SELECT
    admitted_in AS month,
    diagnosis_code,
    treatment,
    count(*) AS visits,
    count(discharged_at) AS discharges,
    CAST(sum(los_us) AS DOUBLE) / count(discharged_at) / 86400000000D AS alos_days,
    count_if(died) AS deaths
FROM local_visits
WHERE diagnosis_code IS NOT NULL AND treatment IS NOT NULL
GROUP BY admitted_in, diagnosis_code, treatment
