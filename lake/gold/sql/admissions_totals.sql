-- Admissions and discharges of one day, week or month, with totals over facilities and departments.
-- grain: day, week or month: how long the time is that a row counts
-- start: first day of that time; of a week the ISO Monday
-- facility: hospital; (all) for all of them
-- department: as in admissions; (all) for all of them
-- admissions: visits admitted
-- discharges: visits discharged, deaths included
SELECT
    grain,
    date_trunc(grain, day)::DATE AS start,
    if(grouping(facility) = 1, '(all)', facility) AS facility,
    if(grouping(department) = 1, '(all)', department) AS department,
    sum(admissions)::BIGINT AS admissions,
    sum(discharges)::BIGINT AS discharges
FROM gold.admissions, (VALUES ('day'), ('week'), ('month')) AS grains (grain)
GROUP BY grain, date_trunc(grain, day)::DATE, CUBE (gold.admissions.facility, gold.admissions.department)
