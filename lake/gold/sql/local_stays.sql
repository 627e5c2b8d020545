-- The stays that reach into a month to be built, with the local days on which they hold a bed at midnight.
-- A bed is held at 24:00 of a day by who came before and is not gone by then: on the day of arrival at first, on the day
-- before leaving at last; who is discharged at the stroke of midnight is gone, who is transferred then is not yet.
-- An open visit holds its bed to the end of the data, or to the day on which it becomes stale: stale_days after its last
-- event. That day is fixed by the visit's own events: time that passes takes nobody out of a night already counted.
-- Source: NHS England, bed availability and occupancy (KH03): beds occupied at midnight.
WITH open_visits AS (
    SELECT v.visit_key, least(b.data_end, v.last_event_at + to_hours(24 * b.stale_days)) AS counted_until
    FROM visits AS v, bounds AS b
    WHERE v.discharged_at IS NULL
),
local AS (
    SELECT
        facility,
        department,
        transfer_in,
        from_time::DATE AS from_day,
        coalesce(to_time, counted_until)::DATE AS to_day,
        CASE
            WHEN to_time IS NULL THEN counted_until::DATE
            WHEN ends_visit THEN (to_time - INTERVAL 1 MICROSECOND)::DATE - 1
            ELSE to_time::DATE - 1
        END AS last_midnight
    FROM stays
    LEFT JOIN open_visits USING (visit_key)
    -- As in local_visits: first what cannot be in those months.
    WHERE
        (to_time IS NULL OR to_time >= (SELECT min(month) - 2 FROM months)::TIMESTAMPTZ)
        AND from_time < (SELECT last_day(max(month)) + 2 FROM months)::TIMESTAMPTZ
)
SELECT * FROM local
WHERE
    from_day <= (SELECT last_day(max(month)) FROM months)
    AND to_day >= (SELECT min(month) FROM months)
