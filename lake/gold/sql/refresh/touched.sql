-- Silver rows above the positions of the last build, the visits that they belong to, what these were, and the dates on
-- which they have events: the only ones that have to be read again.
CREATE TEMP TABLE fresh AS
SELECT s.visit_key, s.event_time
FROM silver_new AS s
LEFT JOIN seen AS p USING (topic_id, kafka_partition)
WHERE s.kafka_offset > coalesce(p.kafka_offset, -1);

CREATE TEMP TABLE touched AS SELECT DISTINCT visit_key FROM fresh;

CREATE TEMP TABLE touched_visits AS
SELECT admitted_at, discharged_at, first_event_at, last_event_at, events FROM old_visits SEMI JOIN touched USING (visit_key);

CREATE TEMP TABLE touched_before AS
SELECT first_event_at, last_event_at, events FROM touched_visits
UNION ALL
SELECT first_event_at, last_event_at, events FROM old_incomplete SEMI JOIN touched USING (visit_key);

CREATE TEMP TABLE touched_dates AS
SELECT DISTINCT unnest(range(timezone('UTC', low)::DATE, timezone('UTC', high)::DATE + 1, INTERVAL 1 DAY))::DATE AS day
FROM (
    SELECT event_time AS low, event_time AS high FROM fresh
    UNION ALL
    SELECT first_event_at, last_event_at FROM touched_before
);
