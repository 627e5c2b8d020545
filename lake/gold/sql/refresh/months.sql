-- The local months in which something may have changed since the last build:
-- those in which a touched visit, as it was or as it is, was in hospital or within 30 days before (a discharge then may
-- have become one with a readmission); those in which discharges have come to have 30 days of data after them; those
-- by which the data has grown at either end.
CREATE OR REPLACE TEMP TABLE months AS
SELECT DISTINCT unnest(range(date_trunc('month', low::DATE), high::DATE + 1, INTERVAL 1 MONTH))::DATE AS month
FROM (
    SELECT v.admitted_at - INTERVAL 720 HOURS AS low, coalesce(v.discharged_at, b.data_end) AS high
    FROM touched_visits AS v, bounds AS b
    UNION ALL
    SELECT p.data_end - INTERVAL 720 HOURS, b.data_end FROM previous AS p, bounds AS b
    UNION ALL
    SELECT least(p.data_start, b.data_start), greatest(p.data_start, b.data_start) FROM previous AS p, bounds AS b
    WHERE p.data_start IS DISTINCT FROM b.data_start
);
