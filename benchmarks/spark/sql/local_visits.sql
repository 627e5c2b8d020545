-- The visits with their days and months (of the session's time zone).
SELECT
    *,
    unix_micros(discharged_at) - unix_micros(admitted_at) AS los_us,
    coalesce(disposition = 'expired', false) AS died,
    to_date(admitted_at) AS admit_day,
    hour(admitted_at) AS admit_hour,
    to_date(discharged_at) AS discharge_day,
    trunc(admitted_at, 'MM') AS admitted_in,
    trunc(discharged_at, 'MM') AS discharged_in
FROM visits
