SELECT quarter, sessions, segments
FROM counters
WHERE app IN (SELECT ordinal FROM apps WHERE workspace = ?1)
