-- The events of each visit in order, and which of them stand.
-- Order: event time, then the place of the event type in the contract, then message id, then patient.
-- A cancel takes back the latest event of its kind before it that was not taken back yet (HL7 v2: A11 takes back A01,
-- A12 takes back A02, A13 takes back A03): last in, first out, as brackets do. Only visits with a cancel are looked
-- at this way: most have none.
WITH ordered AS MATERIALIZED (
    SELECT
        visit_key, patient_key, event_type, event_time, facility, department, ward, bed, doctor_id, diagnosis_code,
        diagnosis, severity, treatment, disposition, sex, birth_year,
        starts_with(event_type, 'cancel_') AS is_cancel,
        replace(event_type, 'cancel_', '') AS kind,
        row_number() OVER of_visit AS seq,
        bool_or(is_cancel) OVER (PARTITION BY visit_key) AS has_cancel
    FROM events
    WINDOW of_visit AS (
        PARTITION BY visit_key
        ORDER BY
            event_time,
            list_position(
                ['admit', 'transfer', 'discharge', 'update', 'cancel_admit', 'cancel_transfer', 'cancel_discharge'],
                event_type
            ),
            message_id,
            patient_key
    )
),
-- An event stands when the balance never falls below where it put it; a cancel finds nothing where it makes a new low.
balanced AS (
    SELECT *, sum(if(is_cancel, -1, 1)) OVER (PARTITION BY visit_key, kind ORDER BY seq) AS balance
    FROM ordered
    WHERE has_cancel
)
SELECT * EXCLUDE (is_cancel, kind, has_cancel), true AS stands, false AS finds_nothing
FROM ordered
WHERE NOT has_cancel
UNION ALL BY NAME
SELECT
    * EXCLUDE (is_cancel, kind, has_cancel, balance),
    NOT is_cancel AND min(balance) OVER from_here >= balance AS stands,
    is_cancel AND balance < least(0, coalesce(min(balance) OVER before, 0)) AS finds_nothing
FROM balanced
WINDOW
    from_here AS (PARTITION BY visit_key, kind ORDER BY seq ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING),
    before AS (PARTITION BY visit_key, kind ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
