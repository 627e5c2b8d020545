-- Index discharges of the months to be built, and whether each was followed by a readmission within 30 days.
-- The patient left alive, not against medical advice, not to another hospital, and the data goes on for 30 days after
-- it. A discharge with disposition other or unknown counts as alive. A readmission is the same patient's next admission,
-- to whichever facility, 720 hours after the discharge at most.
-- Source: CMS hospital-wide all-cause readmission measure; Tuva Project, readmissions mart.
SELECT
    i.discharge_day,
    i.discharged_in,
    i.facility,
    i.department,
    i.doctor_id,
    coalesce(a.admitted_at <= i.discharged_at + INTERVAL 720 HOURS, false) AS readmitted
FROM local_visits AS i
ASOF LEFT JOIN (
    SELECT patient_key, admitted_at FROM visits
    WHERE admitted_at >= (SELECT min(month) - 1 FROM months)::TIMESTAMPTZ -- a day less: local midnight can come twice
) AS a ON i.patient_key = a.patient_key AND i.discharged_at < a.admitted_at
WHERE
    i.discharged_in IN (SELECT month FROM months)
    AND i.disposition NOT IN ('expired', 'ama', 'transfer')
    AND i.discharged_at + INTERVAL 720 HOURS <= (SELECT data_end FROM bounds)
