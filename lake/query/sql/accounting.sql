-- Where every message is: the conservation law's figures over the whole lake.
SELECT
    coalesce(sum(messages), 0)::BIGINT AS messages,
    coalesce(sum(silver), 0)::BIGINT AS silver,
    coalesce(sum(quarantined), 0)::BIGINT AS quarantined,
    coalesce(sum(duplicates), 0)::BIGINT AS duplicates,
    coalesce(sum(ignored), 0)::BIGINT AS ignored
FROM ops.ingest
