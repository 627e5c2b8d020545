-- The visits that were admitted or discharged in a month to be built, with their local days, months and hours.
-- (A TIMESTAMPTZ is cast to a date in the session's time zone, which is WARDLAKE_TIMEZONE.)
WITH local AS (
    SELECT
        visit_key,
        patient_key,
        admitted_at,
        discharged_at,
        facility,
        department,
        admit_facility,
        admit_department,
        doctor_id,
        diagnosis_code,
        diagnosis,
        severity,
        treatment,
        disposition,
        date_diff('microsecond', admitted_at, discharged_at) AS los_us,
        coalesce(disposition = 'expired', false) AS died,
        admitted_at::DATE AS admit_day,
        hour(admitted_at)::INTEGER AS admit_hour,
        discharged_at::DATE AS discharge_day,
        date_trunc('month', admit_day)::DATE AS admitted_in,
        date_trunc('month', discharge_day)::DATE AS discharged_in
    FROM visits
    -- What cannot be in those months goes before times are made local, which is the dear part; two days are to spare.
    WHERE
        coalesce(discharged_at, admitted_at) >= (SELECT min(month) - 2 FROM months)::TIMESTAMPTZ
        AND admitted_at < (SELECT last_day(max(month)) + 2 FROM months)::TIMESTAMPTZ
)
SELECT * FROM local
WHERE admitted_in IN (SELECT month FROM months) OR discharged_in IN (SELECT month FROM months)
