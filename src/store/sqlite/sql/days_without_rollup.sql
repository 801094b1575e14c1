SELECT a.workspace, d.app, d.day, d.totals
FROM days d
JOIN apps a ON a.ordinal = d.app
LEFT JOIN day_cells c ON c.app = d.app AND c.day = d.day
LEFT JOIN day_people p ON p.app = d.app AND p.day = d.day
WHERE d.seq > ?1 AND d.sealed = 0 AND (c.seq IS NOT d.seq OR p.seq IS NOT d.seq)
