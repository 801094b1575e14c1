-- ?4 replaces what stood there: it was read, and added to, in the same transaction.
INSERT INTO counters (app, quarter, sessions, segments)
VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions, segments = excluded.segments
