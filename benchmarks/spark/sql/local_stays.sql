-- The stays with the days on which they hold a bed at midnight.
SELECT
    facility,
    department,
    transfer_in,
    to_date(from_time) AS from_day,
    to_date(coalesce(to_time, data_end)) AS to_day,
    CASE
        WHEN to_time IS NULL THEN final_day
        WHEN ends_visit THEN date_sub(to_date(to_time - INTERVAL '0.000001' SECOND), 1)
        ELSE date_sub(to_date(to_time), 1)
    END AS last_midnight
FROM stays, bounds
