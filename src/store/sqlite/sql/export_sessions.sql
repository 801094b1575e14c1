-- The next ?5 sessions of an app after a day and a session id, in the order of the table.
SELECT s.day, s.session_id, s.start, s.duration, s.properties, u.kind, u.value, d.kind, d.value
FROM sessions s
LEFT JOIN identities u ON u.ordinal = s.user
LEFT JOIN identities d ON d.ordinal = s.device
WHERE s.app = ?1 AND (s.day, s.session_id) > (?2, ?3) AND s.day <= ?4
ORDER BY s.app, s.day, s.session_id
LIMIT ?5
