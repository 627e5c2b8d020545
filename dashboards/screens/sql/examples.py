"""Queries to begin with on the SQL page."""

from typing import Final

EXAMPLES: Final = {
    "What there is": """\
-- Every table and column, and what it means.
FROM gold.dictionary""",
    "Admissions by month and facility": """\
-- (all) stands for all facilities or departments.
SELECT start AS month, facility, admissions, discharges
FROM gold.admissions_totals
WHERE grain = 'month' AND department = '(all)'
ORDER BY month DESC, facility""",
    "Fullest departments": """\
-- The last 30 days of the data.
SELECT facility, department,
       round(avg(occupancy_rate), 3) AS mean_occupancy,
       count(*) FILTER (occupancy_rate > 0.92) AS days_above_92
FROM gold.occupancy
WHERE day > (SELECT max(day) FROM gold.occupancy) - 30
GROUP BY ALL
ORDER BY mean_occupancy DESC NULLS LAST""",
    "Length of stay by department": """\
-- All facilities together, the last 12 months of the data.
SELECT department, sum(discharges) AS discharges,
       round(sum(bed_days) / sum(discharges), 2) AS alos_days
FROM gold.length_of_stay_totals
WHERE facility = '(all)' AND department <> '(all)'
  AND month > (SELECT max(month) FROM gold.length_of_stay) - INTERVAL 12 MONTH
GROUP BY department
ORDER BY alos_days DESC""",
    "Readmissions by month": """\
SELECT month, index_discharges_30d, readmissions_30d, readmission_rate_30d
FROM gold.readmissions_totals
WHERE facility = '(all)' AND department = '(all)'
ORDER BY month DESC""",
    "Most frequent diagnoses": """\
SELECT diagnosis_code, any_value(diagnosis) AS diagnosis, sum(admissions) AS admissions
FROM gold.diagnoses
GROUP BY diagnosis_code
ORDER BY admissions DESC NULLS LAST
LIMIT 20""",
    "Busiest hours": """\
SELECT weekday, hour, sum(admissions) AS admissions
FROM gold.arrivals_totals
WHERE facility = '(all)'
GROUP BY weekday, hour
ORDER BY admissions DESC NULLS LAST""",
    "Rules that messages break": """\
SELECT rule, sum(invalid) AS messages, max(day) AS last_seen
FROM gold.compliance_rules
GROUP BY rule
ORDER BY messages DESC""",
}
"""Title → query. Each works on any Gold."""
