-- One row per visit id: what its standing events say, and what is odd about them.
-- The last word counts: a value is the one of the last event that states it. A code and its text go together.
SELECT
    visit_key,
    arg_min(patient_key, seq) AS first_patient,
    arg_min(patient_key, seq) FILTER (stands AND event_type = 'admit') AS admitted_patient,
    min(event_time) FILTER (stands AND event_type = 'admit') AS admitted_at,
    max(event_time) FILTER (stands AND event_type = 'discharge') AS discharged_at,
    min(event_time) FILTER (stands AND event_type = 'transfer') AS first_transfer_at,
    max(event_time) FILTER (stands AND event_type = 'transfer') AS last_transfer_at,
    count(*) FILTER (stands AND event_type = 'admit') AS admits,
    count(*) FILTER (stands AND event_type = 'discharge') AS discharges,
    count(*) FILTER (NOT stands AND event_type = 'admit') AS admits_taken_back,
    count(*) FILTER (finds_nothing) AS idle_cancels,
    min(patient_key) <> max(patient_key) AS several_patients,
    arg_max(doctor_id, seq) FILTER (stands) AS doctor_id,
    arg_max({'code': diagnosis_code, 'text': diagnosis}, seq) FILTER (stands AND diagnosis_code IS NOT NULL) AS coded,
    arg_max(severity, seq) FILTER (stands) AS severity,
    arg_max(treatment, seq) FILTER (stands) AS treatment,
    arg_max_null(disposition, seq) FILTER (stands AND event_type = 'discharge') AS disposition,
    arg_max(sex, seq) FILTER (stands) AS sex,
    arg_max(birth_year, seq) FILTER (stands) AS birth_year,
    count(*) AS events,
    min(event_time) AS first_event_at,
    max(event_time) AS last_event_at
FROM standing
GROUP BY visit_key
