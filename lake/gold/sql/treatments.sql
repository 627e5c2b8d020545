-- Visits of one month of admission by diagnosis and treatment; visits without one or the other are left out.
-- month: first day of the local month of admission
-- diagnosis_code: ICD-10-CM code, as last stated
-- treatment: treatment, as last stated
-- visits: visits admitted
-- discharges: of those, the ones discharged by now
-- alos_days: average length of stay of those discharged, in days: days stayed / discharges, deaths included
-- deaths: discharges with disposition expired
-- Source: OECD Health Statistics, average length of stay.
SELECT
    admitted_in AS month,
    diagnosis_code,
    treatment,
    count(*) AS visits,
    count(discharged_at) AS discharges,
    sum(los_us)::DOUBLE / count(discharged_at) / 86400000000.0::DOUBLE AS alos_days,
    count(*) FILTER (died) AS deaths
FROM local_visits
WHERE admitted_in IN (SELECT month FROM months) AND diagnosis_code IS NOT NULL AND treatment IS NOT NULL
GROUP BY admitted_in, diagnosis_code, treatment
ORDER BY admitted_in, diagnosis_code, treatment
