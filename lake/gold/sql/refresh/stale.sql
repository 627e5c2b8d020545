-- The last build's visits with the flag that they have now, and the months in which one became stale since, by time alone.
CREATE TEMP VIEW old_visits_now AS
SELECT * REPLACE (is_stale(discharged_at, last_event_at) AS stale) FROM old_visits;

CREATE TEMP TABLE newly_stale_months AS
SELECT DISTINCT admit_month FROM old_visits WHERE NOT stale AND is_stale(discharged_at, last_event_at);
