-- What became of one day's messages under one policy, and whether masking holds on what is stored.
-- day: local calendar day on which the messages were taken in
-- policy: masking policy in force
-- messages: messages taken in = silver + quarantined + duplicates + ignored
-- silver: messages that became Silver rows
-- quarantined: messages that failed; below 0 where a later quarantine replay took more out than went in
-- duplicates: exact duplicates, counted and kept in Bronze only
-- ignored: well-formed messages that hold no event, kept in Bronze only
-- fields: per PHI field of the Silver rows: present, masked by its rule, redacted (masked whole), missing
-- rules: per rule: invalid, the messages that broke it; a message can break several
-- rows_scanned: Silver rows of the day that were looked at
-- rows_broken: of those, rows in which a masked value breaks its rule or a raw identifier of its own record survives
-- masking_success_rate: 1 - rows_broken / rows_scanned; null where nothing was scanned
-- month: first day of the month of day
-- Measured by opening the encrypted message of each row in memory and searching the row for it; never assumed.
WITH books AS (
    SELECT ingested_at::DATE AS day, policy, messages, silver, quarantined, duplicates, ignored, fields, rules
    FROM ingest
    WHERE date_trunc('month', ingested_at::DATE) IN (SELECT month FROM ingest_months)
),
totals AS (
    SELECT
        day,
        policy,
        sum(messages)::BIGINT AS messages,
        sum(silver)::BIGINT AS silver,
        sum(quarantined)::BIGINT AS quarantined,
        sum(duplicates)::BIGINT AS duplicates,
        sum(ignored)::BIGINT AS ignored
    FROM books
    GROUP BY day, policy
),
per_field AS (
    SELECT
        day,
        policy,
        f.field AS field,
        sum(f.present)::BIGINT AS present,
        sum(f.masked)::BIGINT AS masked,
        sum(f.redacted)::BIGINT AS redacted,
        sum(f.missing)::BIGINT AS missing
    FROM books, unnest(fields) AS u (f)
    GROUP BY ALL
),
fields_of AS (
    SELECT
        day,
        policy,
        list(
            {'field': field, 'present': present, 'masked': masked, 'redacted': redacted, 'missing': missing}
            ORDER BY field
        ) AS fields
    FROM per_field
    GROUP BY day, policy
),
per_rule AS (
    SELECT day, policy, r.rule AS rule, sum(r.messages)::BIGINT AS invalid
    FROM books, unnest(rules) AS u (r)
    GROUP BY ALL
),
rules_of AS (
    SELECT day, policy, list({'rule': rule, 'invalid': invalid} ORDER BY rule) AS rules
    FROM per_rule
    GROUP BY day, policy
)
SELECT
    day,
    policy,
    coalesce(messages, 0) AS messages,
    coalesce(silver, 0) AS silver,
    coalesce(quarantined, 0) AS quarantined,
    coalesce(duplicates, 0) AS duplicates,
    coalesce(ignored, 0) AS ignored,
    coalesce(fields, []) AS fields,
    coalesce(rules, []) AS rules,
    coalesce(rows_scanned, 0) AS rows_scanned,
    coalesce(rows_broken, 0) AS rows_broken,
    1 - rows_broken / nullif(rows_scanned, 0) AS masking_success_rate,
    date_trunc('month', day)::DATE AS month
FROM totals
FULL JOIN masking USING (day, policy)
LEFT JOIN fields_of USING (day, policy)
LEFT JOIN rules_of USING (day, policy)
ORDER BY day, policy
