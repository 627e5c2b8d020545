-- PHI fields of the Silver rows: how many were there, masked by their rule, masked whole, or missing.
SELECT
    f.field,
    sum(f.present)::BIGINT AS present,
    sum(f.masked)::BIGINT AS masked,
    sum(f.redacted)::BIGINT AS redacted,
    sum(f.missing)::BIGINT AS missing
FROM ops.ingest, unnest(fields) AS u (f)
GROUP BY f.field
ORDER BY f.field
