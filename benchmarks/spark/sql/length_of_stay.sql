-- gold/length_of_stay
SELECT
    discharged_in AS month,
    facility,
    department,
    count(*) AS discharges,
    CAST(sum(los_us) AS DOUBLE) / 86400000000D AS bed_days,
    CAST(sum(los_us) AS DOUBLE) / count(*) / 86400000000D AS alos_days,
    median(los_us) / 86400000000D AS median_los_days
FROM local_visits
WHERE discharged_in IS NOT NULL
GROUP BY discharged_in, facility, department
