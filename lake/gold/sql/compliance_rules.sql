-- Rules that one day's messages broke.
-- day: local calendar day on which the messages were taken in
-- policy: masking policy in force
-- rule: rule of validation, named for what is wrong
-- invalid: messages that broke it; a message can break several
SELECT day, policy, r.rule AS rule, r.invalid AS invalid
FROM gold.compliance, unnest(rules) AS u (r)
