INSERT INTO apps (ordinal, id, workspace, name, platform, created_at)
VALUES ((SELECT last_app + 1 FROM meta), ?1, (SELECT ordinal FROM workspaces WHERE id = ?2), ?3, ?4, ?5)
ON CONFLICT (id) DO UPDATE SET name = ?3, platform = ?4
