SELECT s.start, 0, s.properties, d.seq, d.sealed
FROM days d
LEFT JOIN sessions s ON s.app = d.app AND s.day = d.day
WHERE d.app = ?1 AND d.day = ?2
