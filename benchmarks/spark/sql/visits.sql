-- One row per visit of which an admission stands.
WITH places AS (
    SELECT
        visit_key,
        min_by(named_struct('facility', facility, 'department', department), seq) AS first_place,
        max_by(named_struct('facility', facility, 'department', department, 'ward', ward, 'bed', bed), seq) AS last_place
    FROM stays
    GROUP BY visit_key
)
SELECT
    h.visit_key,
    admitted_patient AS patient_key,
    admitted_at,
    discharged_at,
    (unix_micros(discharged_at) - unix_micros(admitted_at)) / 86400000000D AS los_days,
    last_place.facility AS facility,
    last_place.department AS department,
    last_place.ward AS ward,
    last_place.bed AS bed,
    first_place.facility AS admit_facility,
    first_place.department AS admit_department,
    doctor_id,
    coded.code AS diagnosis_code,
    coded.text AS diagnosis,
    severity,
    treatment,
    if(discharged_at IS NOT NULL, coalesce(disposition, 'unknown'), NULL) AS disposition,
    sex,
    birth_year,
    array_compact(array(
        if(idle_cancels > 0, 'cancel_without_event', NULL),
        if(admits > 1, 'repeated_admission', NULL),
        if(discharges > 1, 'repeated_discharge', NULL),
        if(several_patients, 'several_patients', NULL),
        if(last_transfer_at > discharged_at, 'transfer_after_discharge', NULL),
        if(first_transfer_at < admitted_at, 'transfer_before_admission', NULL)
    )) AS flags,
    discharged_at IS NULL AND last_event_at <= (SELECT max(event_time) FROM events) - INTERVAL 1440 HOURS AS stale,
    events,
    first_event_at,
    last_event_at,
    trunc(admitted_at, 'MM') AS admit_month
FROM histories AS h
INNER JOIN places AS p ON h.visit_key = p.visit_key
