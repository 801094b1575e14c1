INSERT INTO segments (id, workspace, name, description, tags, filter, state, created_at, updated_at)
VALUES (?1, (SELECT ordinal FROM workspaces WHERE id = ?2), ?3, ?4, ?5, ?6, 0, ?7, ?8)
ON CONFLICT (id) DO UPDATE SET name = ?3, description = ?4, tags = ?5, filter = ?6, updated_at = ?8
