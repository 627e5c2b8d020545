-- PHI fields of one day's Silver rows under one policy.
-- day: local calendar day on which the messages were taken in
-- policy: masking policy in force
-- field: PHI field
-- present: rows in which it was there
-- masked: of those, masked by its rule
-- redacted: of those, masked whole because the value did not fit its rule
-- missing: rows in which it was null or blank
SELECT day, policy, f.field AS field, f.present AS present, f.masked AS masked, f.redacted AS redacted, f.missing AS missing
FROM gold.compliance, unnest(fields) AS u (f)
