-- gold/admissions
WITH moments AS (
    SELECT admit_day AS day, admit_facility AS facility, admit_department AS department, 'admission' AS what
    FROM local_visits
    UNION ALL
    SELECT discharge_day, facility, department, 'discharge' FROM local_visits WHERE discharge_day IS NOT NULL
    UNION ALL
    SELECT from_day, facility, department, 'transfer' FROM local_stays WHERE transfer_in
    UNION ALL
    SELECT discharge_day, facility, department, if(readmitted, 'readmission', 'index') FROM index_discharges
)
SELECT
    day,
    facility,
    department,
    count_if(what = 'admission') AS admissions,
    count_if(what = 'discharge') AS discharges,
    count_if(what = 'transfer') AS transfers_in,
    count_if(what IN ('index', 'readmission')) AS index_discharges_30d,
    count_if(what = 'readmission') AS readmissions_30d,
    trunc(day, 'MM') AS month
FROM moments
GROUP BY day, facility, department
