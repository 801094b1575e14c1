SELECT start, COALESCE(user, device, 0), properties, session_id
FROM sessions
WHERE app = ?1 AND day = ?2 AND session_id < x''
ORDER BY session_id
