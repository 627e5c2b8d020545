-- gold/arrivals
SELECT
    admitted_in AS month,
    weekday(admit_day) + 1 AS weekday,
    admit_hour AS hour,
    admit_facility AS facility,
    admit_department AS department,
    count(*) AS admissions
FROM local_visits
GROUP BY ALL
