-- gold/occupancy, without a reference table of staffed beds
WITH units AS (
    SELECT DISTINCT
        facility, department, explode(sequence(trunc(from_day, 'MM'), trunc(to_day, 'MM'), INTERVAL 1 MONTH)) AS month
    FROM local_stays
),
days AS (
    SELECT facility, department, month, explode(sequence(month, last_day(month), INTERVAL 1 DAY)) AS day FROM units
),
midnights AS (
    SELECT facility, department, explode(sequence(from_day, last_midnight, INTERVAL 1 DAY)) AS day
    FROM local_stays
    WHERE from_day <= last_midnight
),
census AS (
    SELECT facility, department, day, count(*) AS occupied FROM midnights GROUP BY facility, department, day
)
SELECT
    d.day,
    d.facility,
    d.department,
    coalesce(c.occupied, 0) AS occupied_midnight,
    CAST(NULL AS BIGINT) AS staffed_beds,
    CAST(NULL AS DOUBLE) AS occupancy_rate,
    d.month
FROM days AS d
LEFT JOIN census AS c ON d.facility = c.facility AND d.department = c.department AND d.day = c.day
CROSS JOIN bounds AS b
WHERE d.day BETWEEN b.first_day AND b.final_day
