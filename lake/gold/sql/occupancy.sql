-- Beds in use at midnight of one day, facility and department; every day of a month in which the unit held a patient.
-- day: local calendar day; the last one is as of the end of the data
-- facility: hospital
-- department: department in which the patients are at midnight
-- occupied_midnight: patients in a bed at 24:00 of day; a same-day stay counts 0, a stale visit not after it became so
-- staffed_beds: staffed beds in force, from the reference table; null where it has none
-- occupancy_rate: occupied_midnight / staffed_beds; null without staffed beds; above 1 means more patients than beds
-- month: first day of the month of day
-- Source: NHS England, bed availability and occupancy (KH03).
WITH span AS (
    SELECT data_start::DATE AS first_day, data_end::DATE AS final_day FROM bounds
),
units AS (
    SELECT DISTINCT facility, department, unnest(range(date_trunc('month', from_day), to_day + 1, INTERVAL 1 MONTH))::DATE AS month
    FROM local_stays
),
days AS (
    SELECT facility, department, month, unnest(range(month, month + INTERVAL 1 MONTH, INTERVAL 1 DAY))::DATE AS day
    FROM units
    WHERE month IN (SELECT month FROM months)
),
midnights AS (
    SELECT facility, department, unnest(range(from_day, last_midnight + 1, INTERVAL 1 DAY))::DATE AS day
    FROM local_stays
    WHERE from_day <= last_midnight
),
census AS (
    SELECT facility, department, day, count(*) AS occupied FROM midnights
    WHERE date_trunc('month', day) IN (SELECT month FROM months)
    GROUP BY facility, department, day
)
SELECT
    d.day,
    d.facility,
    d.department,
    coalesce(c.occupied, 0) AS occupied_midnight,
    s.staffed_beds,
    coalesce(c.occupied, 0) / nullif(s.staffed_beds, 0) AS occupancy_rate,
    d.month
FROM days AS d
LEFT JOIN census AS c USING (facility, department, day)
ASOF LEFT JOIN staffed_beds AS s
    ON d.facility = s.facility AND d.department = s.department AND d.day >= s.valid_from
WHERE d.day BETWEEN (SELECT first_day FROM span) AND (SELECT final_day FROM span)
ORDER BY d.day, d.facility, d.department
