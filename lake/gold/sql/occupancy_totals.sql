-- Beds in use at midnight of one day, with totals over facilities and departments.
-- day: local calendar day
-- facility: hospital; (all) for all of them
-- department: department in which the patients are at midnight; (all) for all of them
-- occupied_midnight: patients in a bed at 24:00 of day
-- staffed_beds: staffed beds in force; null where the reference table lacks those of a unit
-- occupancy_rate: occupied_midnight / staffed_beds; null without staffed beds
-- Source: NHS England, bed availability and occupancy (KH03).
SELECT
    day,
    if(grouping(facility) = 1, '(all)', facility) AS facility,
    if(grouping(department) = 1, '(all)', department) AS department,
    sum(occupied_midnight)::BIGINT AS occupied_midnight,
    if(count(*) = count(staffed_beds), sum(staffed_beds)::BIGINT, NULL) AS staffed_beds,
    if(count(*) = count(staffed_beds), (sum(occupied_midnight) / nullif(sum(staffed_beds), 0))::DOUBLE, NULL)
        AS occupancy_rate
FROM gold.occupancy
GROUP BY day, CUBE (gold.occupancy.facility, gold.occupancy.department)
