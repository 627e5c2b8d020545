-- One row per visit id of which no admission stands, or whose history cannot be.
SELECT
    visit_key,
    first_patient AS patient_key,
    array_compact(array(
        if(idle_cancels > 0, 'cancel_without_event', NULL),
        if(admitted_at IS NULL AND admits_taken_back > 0 AND last_transfer_at IS NULL AND discharged_at IS NULL,
            'cancelled', NULL),
        if(admitted_at IS NOT NULL, 'discharge_before_admission', NULL),
        if(admitted_at IS NULL
            AND NOT (admits_taken_back > 0 AND last_transfer_at IS NULL AND discharged_at IS NULL),
            'no_admission', NULL),
        if(several_patients, 'several_patients', NULL)
    )) AS flags,
    events,
    first_event_at,
    last_event_at,
    trunc(first_event_at, 'MM') AS first_month
FROM histories
WHERE admitted_at IS NULL OR discharged_at < admitted_at
