-- The stays that reach into a month to be built, with the local days on which they hold a bed at midnight.
-- A bed is held at 24:00 of a day by who came before and is not gone by then: on the day of arrival at first, on the day
-- before leaving at last; who is discharged at the stroke of midnight is gone, who is transferred then is not yet.
-- Source: NHS England, bed availability and occupancy (KH03): beds occupied at midnight.
WITH local AS (
    SELECT
        facility,
        department,
        transfer_in,
        from_time::DATE AS from_day,
        coalesce(to_time, (SELECT data_end FROM bounds))::DATE AS to_day,
        CASE
            WHEN to_time IS NULL THEN (SELECT data_end FROM bounds)::DATE
            WHEN ends_visit THEN (to_time - INTERVAL 1 MICROSECOND)::DATE - 1
            ELSE to_time::DATE - 1
        END AS last_midnight
    FROM stays
    -- As in local_visits: first what cannot be in those months.
    WHERE
        (to_time IS NULL OR to_time >= (SELECT min(month) - 2 FROM months)::TIMESTAMPTZ)
        AND from_time < (SELECT last_day(max(month)) + 2 FROM months)::TIMESTAMPTZ
)
SELECT * FROM local
WHERE
    from_day <= (SELECT last_day(max(month)) FROM months)
    AND to_day >= (SELECT min(month) FROM months)
