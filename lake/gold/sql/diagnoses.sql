-- Visits of one month of admission by diagnosis; visits without a code are left out.
-- month: first day of the local month of admission
-- diagnosis_code: ICD-10-CM code, as last stated
-- diagnosis: the code's text
-- admissions: visits admitted
-- discharges: of those, the ones discharged by now
-- alos_days: average length of stay of those discharged, in days: days stayed / discharges, deaths included
-- deaths: discharges with disposition expired
-- minor: visits of APR-DRG severity minor
-- moderate: visits of APR-DRG severity moderate
-- major: visits of APR-DRG severity major
-- extreme: visits of APR-DRG severity extreme
-- Source: OECD Health Statistics, average length of stay; UB-04 patient discharge status 20 (expired).
SELECT
    admitted_in AS month,
    diagnosis_code,
    min(diagnosis) AS diagnosis,
    count(*) AS admissions,
    count(discharged_at) AS discharges,
    sum(los_us)::DOUBLE / count(discharged_at) / 86400000000.0::DOUBLE AS alos_days,
    count(*) FILTER (died) AS deaths,
    count(*) FILTER (severity = 'minor') AS minor,
    count(*) FILTER (severity = 'moderate') AS moderate,
    count(*) FILTER (severity = 'major') AS major,
    count(*) FILTER (severity = 'extreme') AS extreme
FROM local_visits
WHERE admitted_in IN (SELECT month FROM months) AND diagnosis_code IS NOT NULL
GROUP BY admitted_in, diagnosis_code
ORDER BY admitted_in, diagnosis_code
