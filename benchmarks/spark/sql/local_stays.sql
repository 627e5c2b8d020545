-- The stays with the days on which they hold a bed at midnight; a visit that had no event for 60 days holds none.
WITH open_visits AS (
    SELECT visit_key, least(data_end, last_event_at + INTERVAL 1440 HOURS) AS counted_until
    FROM visits, bounds
    WHERE discharged_at IS NULL
)
SELECT
    facility,
    department,
    transfer_in,
    to_date(from_time) AS from_day,
    to_date(coalesce(to_time, counted_until)) AS to_day,
    CASE
        WHEN to_time IS NULL THEN to_date(counted_until)
        WHEN ends_visit THEN date_sub(to_date(to_time - INTERVAL '0.000001' SECOND), 1)
        ELSE date_sub(to_date(to_time), 1)
    END AS last_midnight
FROM stays AS s
LEFT JOIN open_visits AS v ON s.visit_key = v.visit_key
