SELECT quarter, SUM(sessions)
FROM counters
WHERE segment = 0 AND app IN (SELECT ordinal FROM apps WHERE workspace = ?1)
GROUP BY quarter
