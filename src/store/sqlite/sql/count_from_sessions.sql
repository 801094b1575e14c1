-- What the counters must say, from the sessions alone.
SELECT app, day * 96 + start / 900000 AS quarter, COUNT(*) AS sessions
FROM sessions
GROUP BY app, quarter
ORDER BY app, quarter
