INSERT INTO api_keys (id, workspace, name, hash, permissions, allow, created_at, revoked_at, last_used_at)
VALUES (?1, (SELECT ordinal FROM workspaces WHERE id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (id) DO UPDATE SET name = ?3, permissions = ?5, allow = ?6, revoked_at = ?8, last_used_at = ?9
