-- The next ?4 sessions of an app and a day after a session id, in the order of the table.
SELECT start, properties, session_id
FROM sessions
WHERE app = ?1 AND day = ?2 AND session_id > ?3
ORDER BY session_id
LIMIT ?4
