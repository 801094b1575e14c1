INSERT INTO apps (id, workspace, name, platform, created_at)
VALUES (?1, (SELECT ordinal FROM workspaces WHERE id = ?2), ?3, ?4, ?5)
ON CONFLICT (id) DO UPDATE SET name = ?3, platform = ?4
