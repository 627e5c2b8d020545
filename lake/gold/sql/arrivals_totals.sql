-- Admissions of one month by weekday and hour, with totals over facilities.
-- month: first day of the local month of admission
-- weekday: ISO day of the week, 1 is Monday
-- hour: local hour of admission, 0 to 23
-- facility: hospital; (all) for all of them
-- admissions: visits admitted
SELECT
    month,
    weekday,
    hour,
    if(grouping(facility) = 1, '(all)', facility) AS facility,
    sum(admissions)::BIGINT AS admissions
FROM gold.arrivals
GROUP BY month, weekday, hour, CUBE (gold.arrivals.facility)
