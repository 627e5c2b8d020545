-- One row per visit id: what its standing events say, and what is odd about them.
SELECT
    visit_key,
    min_by(patient_key, seq) AS first_patient,
    min_by(patient_key, seq) FILTER (WHERE stands AND event_type = 'admit') AS admitted_patient,
    min(event_time) FILTER (WHERE stands AND event_type = 'admit') AS admitted_at,
    max(event_time) FILTER (WHERE stands AND event_type = 'discharge') AS discharged_at,
    min(event_time) FILTER (WHERE stands AND event_type = 'transfer') AS first_transfer_at,
    max(event_time) FILTER (WHERE stands AND event_type = 'transfer') AS last_transfer_at,
    count_if(stands AND event_type = 'admit') AS admits,
    count_if(stands AND event_type = 'discharge') AS discharges,
    count_if(NOT stands AND event_type = 'admit') AS admits_taken_back,
    count_if(finds_nothing) AS idle_cancels,
    min(patient_key) <> max(patient_key) AS several_patients,
    max_by(doctor_id, seq) FILTER (WHERE stands AND doctor_id IS NOT NULL) AS doctor_id,
    max_by(named_struct('code', diagnosis_code, 'text', diagnosis), seq)
        FILTER (WHERE stands AND diagnosis_code IS NOT NULL) AS coded,
    max_by(severity, seq) FILTER (WHERE stands AND severity IS NOT NULL) AS severity,
    max_by(treatment, seq) FILTER (WHERE stands AND treatment IS NOT NULL) AS treatment,
    max_by(disposition, seq) FILTER (WHERE stands AND event_type = 'discharge') AS disposition,
    max_by(sex, seq) FILTER (WHERE stands AND sex IS NOT NULL) AS sex,
    max_by(birth_year, seq) FILTER (WHERE stands AND birth_year IS NOT NULL) AS birth_year,
    count(*) AS events,
    min(event_time) AS first_event_at,
    max(event_time) AS last_event_at
FROM standing
GROUP BY visit_key
