-- One row per visit of which an admission stands.
-- Length of stay: days from admission to discharge, fractions included (OECD: days stayed).
-- A discharge that does not say how the visit ended counts as unknown; an open visit has no disposition.
-- Stale: open, and without an event for WARDLAKE_STALE_VISIT_DAYS before the end of the data (fold.py makes the macro).
WITH places AS (
    SELECT
        visit_key,
        arg_min({'facility': facility, 'department': department}, seq) AS first_place,
        arg_max({'facility': facility, 'department': department, 'ward': ward, 'bed': bed}, seq) AS last_place
    FROM stays
    GROUP BY visit_key
)
SELECT
    visit_key,
    admitted_patient AS patient_key,
    admitted_at,
    discharged_at,
    date_diff('microsecond', admitted_at, discharged_at) / 86400000000.0::DOUBLE AS los_days,
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
    list_filter([
        if(idle_cancels > 0, 'cancel_without_event', NULL),
        if(admits > 1, 'repeated_admission', NULL),
        if(discharges > 1, 'repeated_discharge', NULL),
        if(several_patients, 'several_patients', NULL),
        if(last_transfer_at > discharged_at, 'transfer_after_discharge', NULL),
        if(first_transfer_at < admitted_at, 'transfer_before_admission', NULL)
    ], lambda flag: flag IS NOT NULL) AS flags,
    is_stale(discharged_at, last_event_at) AS stale,
    events,
    first_event_at,
    last_event_at,
    date_trunc('month', timezone('UTC', admitted_at))::DATE AS admit_month
FROM histories
INNER JOIN places USING (visit_key)
