-- Discharges of one month by how the visit ended, with totals over facilities and departments.
-- month: first day of the local month of discharge
-- facility: hospital; (all) for all of them
-- department: department at discharge; (all) for all of them
-- disposition: how the visit ended (UB-04 discharge status, grouped); unknown where the discharge did not say
-- discharges: visits discharged
SELECT
    month,
    if(grouping(facility) = 1, '(all)', facility) AS facility,
    if(grouping(department) = 1, '(all)', department) AS department,
    disposition,
    sum(discharges)::BIGINT AS discharges
FROM gold.outcomes
GROUP BY month, disposition, CUBE (gold.outcomes.facility, gold.outcomes.department)
