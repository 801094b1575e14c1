INSERT INTO counters (app, segment, quarter, sessions)
VALUES (?1, 0, ?2, ?3)
ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions
