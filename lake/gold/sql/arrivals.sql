-- Admissions of one month by weekday and hour, facility and department.
-- month: first day of the local month of admission
-- weekday: ISO day of the week, 1 is Monday
-- hour: local hour of admission, 0 to 23
-- facility: hospital
-- department: department of admission
-- admissions: visits admitted
SELECT
    admitted_in AS month,
    isodow(admit_day)::INTEGER AS weekday,
    admit_hour AS hour,
    admit_facility AS facility,
    admit_department AS department,
    count(*) AS admissions
FROM local_visits
WHERE admitted_in IN (SELECT month FROM months)
GROUP BY ALL
ORDER BY ALL
