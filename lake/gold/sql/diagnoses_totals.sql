-- Visits of one month of admission by diagnosis, with totals over diagnoses; visits without a code are left out.
-- month: first day of the local month of admission
-- diagnosis_code: ICD-10-CM code, as last stated; (all) for all of them
-- diagnosis: the code's text; null for all of them
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
    month,
    if(grouping(diagnosis_code) = 1, '(all)', diagnosis_code) AS diagnosis_code,
    if(grouping(diagnosis_code) = 1, NULL, min(diagnosis)) AS diagnosis,
    sum(admissions)::BIGINT AS admissions,
    sum(discharges)::BIGINT AS discharges,
    -- Summed as whole milliseconds: a sum of fractions depends on the order of the rows.
    sum(round(alos_days * discharges * 86400000)::BIGINT)::DOUBLE / 86400000 / nullif(sum(discharges), 0)::DOUBLE
        AS alos_days,
    sum(deaths)::BIGINT AS deaths,
    sum(minor)::BIGINT AS minor,
    sum(moderate)::BIGINT AS moderate,
    sum(major)::BIGINT AS major,
    sum(extreme)::BIGINT AS extreme
FROM gold.diagnoses
GROUP BY month, CUBE (gold.diagnoses.diagnosis_code)
