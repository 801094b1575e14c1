SELECT s.day, s.session_id, s.start, s.duration, u.value, d.value, s.properties
FROM sessions s
LEFT JOIN identities u ON u.ordinal = s.user
LEFT JOIN identities d ON d.ordinal = s.device
WHERE s.app = ?1 AND s.day BETWEEN ?2 AND ?3
ORDER BY s.app, s.day, s.session_id
