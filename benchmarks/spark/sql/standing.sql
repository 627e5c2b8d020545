-- The events of each visit in order, and which of them stand. One shuffle: all windows are within a visit.
WITH ordered AS (
    SELECT
        visit_key, patient_key, event_type, event_time, facility, department, ward, bed, doctor_id, diagnosis_code,
        diagnosis, severity, treatment, disposition, sex, birth_year,
        startswith(event_type, 'cancel_') AS is_cancel,
        replace(event_type, 'cancel_', '') AS kind,
        row_number() OVER (
            PARTITION BY visit_key
            ORDER BY
                event_time,
                array_position(
                    array('admit', 'transfer', 'discharge', 'update', 'cancel_admit', 'cancel_transfer', 'cancel_discharge'),
                    event_type
                ),
                message_id,
                patient_key
        ) AS seq
    FROM events
),
balanced AS (
    SELECT *, sum(if(is_cancel, -1, 1)) OVER (PARTITION BY visit_key, kind ORDER BY seq) AS balance
    FROM ordered
)
SELECT
    * EXCEPT (is_cancel, kind, balance),
    NOT is_cancel AND min(balance) OVER (
        PARTITION BY visit_key, kind ORDER BY seq ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ) >= balance AS stands,
    is_cancel AND balance < least(0, coalesce(min(balance) OVER (
        PARTITION BY visit_key, kind ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0)) AS finds_nothing
FROM balanced
