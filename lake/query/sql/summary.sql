-- What the demo prints: one row of figures over Silver, from the events as they stand now.
-- A visit counts when its last admit was not cancelled; it is over when its last discharge was not cancelled.
-- ALOS = days stayed / discharges, deaths included (OECD). Deaths: disposition expired (UB-04 status 20).
WITH visits AS (
    SELECT
        visit_key,
        any_value(patient_key) AS patient_key,
        max(event_time) FILTER (event_type = 'admit') AS admitted_at,
        max(event_time) FILTER (event_type = 'cancel_admit') AS admit_cancelled_at,
        max(event_time) FILTER (event_type = 'discharge') AS discharged_at,
        max(event_time) FILTER (event_type = 'cancel_discharge') AS discharge_cancelled_at,
        arg_max(disposition, event_time) FILTER (event_type = 'discharge') AS disposition
    FROM silver.events
    GROUP BY visit_key
),
standing AS (
    SELECT
        *,
        discharged_at IS NOT NULL AND coalesce(discharged_at > discharge_cancelled_at, true) AS is_discharged
    FROM visits
    WHERE admitted_at IS NOT NULL AND coalesce(admitted_at > admit_cancelled_at, true)
)
SELECT
    (SELECT count(*) FROM silver.events) AS events,
    (SELECT min(event_date) FROM silver.events) AS first_day,
    (SELECT max(event_date) FROM silver.events) AS last_day,
    count(DISTINCT patient_key) AS patients,
    count(*) AS admissions,
    count(*) FILTER (is_discharged) AS discharges,
    count(*) FILTER (is_discharged AND disposition = 'expired') AS deaths,
    round(avg(epoch(discharged_at - admitted_at)) FILTER (is_discharged) / 86400, 2) AS alos_days
FROM standing
