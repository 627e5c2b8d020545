-- The local months in which messages were taken in since the last build, or rows were looked at.
CREATE TEMP TABLE ingest_months AS
SELECT date_trunc('month', i.ingested_at::DATE)::DATE AS month
FROM ingest AS i
LEFT JOIN seen AS p USING (topic_id, kafka_partition)
WHERE i.last_offset > coalesce(p.kafka_offset, -1)
UNION
SELECT date_trunc('month', day)::DATE FROM measured
