-- One row per stretch of a visit in one place: from its admission or a transfer to the next transfer or the discharge.
WITH candidates AS (
    SELECT
        s.visit_key, s.seq, s.event_type, s.event_time, s.facility, s.department, s.ward, s.bed,
        h.admitted_patient, h.discharged_at,
        row_number() OVER (PARTITION BY s.visit_key, s.event_type ORDER BY s.seq) AS nth
    FROM standing AS s
    INNER JOIN histories AS h ON s.visit_key = h.visit_key
    WHERE
        s.stands
        AND s.event_type IN ('admit', 'transfer')
        AND h.admitted_at IS NOT NULL
        AND (h.discharged_at IS NULL OR h.discharged_at >= h.admitted_at)
        AND s.event_time >= h.admitted_at
        AND (s.event_time < h.discharged_at OR h.discharged_at IS NULL OR s.event_type = 'admit')
)
SELECT
    visit_key,
    admitted_patient AS patient_key,
    facility,
    department,
    ward,
    bed,
    event_time AS from_time,
    coalesce(lead(event_time) OVER of_visit, discharged_at) AS to_time,
    coalesce(
        event_type = 'transfer'
        AND (facility <> lag(facility) OVER of_visit OR department <> lag(department) OVER of_visit),
        false
    ) AS transfer_in,
    discharged_at IS NOT NULL AND lead(event_time) OVER of_visit IS NULL AS ends_visit,
    trunc(event_time, 'MM') AS from_month,
    seq
FROM candidates
WHERE event_type = 'transfer' OR nth = 1
WINDOW of_visit AS (PARTITION BY visit_key ORDER BY seq)
