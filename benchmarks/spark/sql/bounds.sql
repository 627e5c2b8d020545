-- The earliest admission and the latest event, and their days.
SELECT data_start, data_end, to_date(data_start) AS first_day, to_date(data_end) AS final_day
FROM (SELECT min(admitted_at) AS data_start FROM visits), (SELECT max(event_time) AS data_end FROM events)
