-- Rows looked at and rows found broken, per day and policy: what was measured before, and the new rows.
CREATE TEMP TABLE masking AS
SELECT day, policy, sum(rows_scanned)::BIGINT AS rows_scanned, sum(rows_broken)::BIGINT AS rows_broken
FROM (
    SELECT day, policy, rows_scanned, rows_broken FROM old_compliance
    WHERE rows_scanned > 0 AND month IN (SELECT month FROM ingest_months)
    UNION ALL
    SELECT day, policy, rows_scanned, rows_broken FROM measured
)
GROUP BY day, policy
