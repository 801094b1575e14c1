INSERT INTO sessions (app, day, session_id, start, duration, user, device, properties)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT DO NOTHING
