-- Length of stay of one month's discharges by facility and department.
-- month: first day of the local month of discharge
-- facility: hospital
-- department: department at discharge
-- discharges: visits discharged, deaths included
-- bed_days: days stayed by them, fractions included
-- alos_days: average length of stay: bed_days / discharges
-- median_los_days: median length of stay, in days
-- Source: OECD Health Statistics, average length of stay: days stayed by all inpatients / discharges, deaths included.
SELECT
    discharged_in AS month,
    facility,
    department,
    count(*) AS discharges,
    sum(los_us)::DOUBLE / 86400000000.0::DOUBLE AS bed_days,
    sum(los_us)::DOUBLE / count(*) / 86400000000.0::DOUBLE AS alos_days,
    median(los_us) / 86400000000.0::DOUBLE AS median_los_days
FROM local_visits
WHERE discharged_in IN (SELECT month FROM months)
GROUP BY discharged_in, facility, department
ORDER BY discharged_in, facility, department
