-- Which rules the quarantined messages broke; a message can break several.
SELECT r.rule, sum(r.messages)::BIGINT AS messages
FROM ops.ingest, unnest(rules) AS u (r)
GROUP BY r.rule
ORDER BY messages DESC, r.rule
