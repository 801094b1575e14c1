INSERT INTO segments (id, workspace, name, description, tags, filter, tracked, created_at, updated_at)
VALUES (?1, (SELECT ordinal FROM workspaces WHERE id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (id) DO UPDATE SET name = ?3, description = ?4, tags = ?5, filter = ?6, tracked = ?7, updated_at = ?9
