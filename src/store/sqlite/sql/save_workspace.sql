INSERT INTO workspaces (
    id, name, time_zone, export_limit, recording_limit, segment_limit, retention_days, sealed_before, first_weekday, created_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (id) DO UPDATE SET
    name = ?2, time_zone = ?3, export_limit = ?4, recording_limit = ?5, segment_limit = ?6, retention_days = ?7,
    sealed_before = ?8, first_weekday = ?9
