INSERT INTO counters (app, quarter, sessions, segments)
VALUES (?1, ?2, ?3, x'')
ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions
