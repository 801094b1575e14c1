INSERT INTO workspaces
    (id, name, time_zone, export_limit, recording_limit, segment_limit, retention_days, first_weekday, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (id) DO UPDATE SET
    name = ?2, time_zone = ?3, export_limit = ?4, recording_limit = ?5, segment_limit = ?6, retention_days = ?7, first_weekday = ?8
