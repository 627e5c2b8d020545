-- Discharges of one month by facility, department and how the visit ended.
-- month: first day of the local month of discharge
-- facility: hospital
-- department: department at discharge
-- disposition: how the visit ended (UB-04 discharge status, grouped); unknown where the discharge did not say
-- discharges: visits discharged
SELECT discharged_in AS month, facility, department, disposition, count(*) AS discharges
FROM local_visits
WHERE discharged_in IN (SELECT month FROM months)
GROUP BY ALL
ORDER BY ALL
