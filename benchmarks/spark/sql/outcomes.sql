-- gold/outcomes
SELECT discharged_in AS month, facility, department, disposition, count(*) AS discharges
FROM local_visits
WHERE discharged_in IS NOT NULL
GROUP BY ALL
