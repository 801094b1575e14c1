-- The next ?4 sessions of an app after a key, in the order of the table.
SELECT session_id, day, start / 900000, properties
FROM sessions
WHERE app = ?1 AND (day, session_id) > (?2, ?3)
ORDER BY day, session_id
LIMIT ?4
