SELECT w.id AS workspace, i.value AS user_id, s.content AS attributes
FROM identities i
JOIN workspaces w ON w.ordinal = i.workspace
JOIN attribute_sets s ON s.ordinal = i.attributes
WHERE i.kind = 1 AND i.value IS NOT NULL
ORDER BY i.ordinal
