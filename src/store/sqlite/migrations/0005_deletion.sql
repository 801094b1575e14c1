-- Store format 5: users can be forgotten, apps and workspaces deleted with their sessions.

-- The greatest ordinal that an app ever had. None is given twice: whoever holds counts knows apps by it.
ALTER TABLE meta ADD COLUMN last_app INTEGER NOT NULL DEFAULT 0;

UPDATE meta SET last_app = (SELECT COALESCE(MAX(ordinal), 0) FROM apps);

-- identities.kind from now on: 1 = user_id, 2 = device_id, 3 and 4 = a user and a device that was forgotten, whose value is a
-- random number. The row stays, since sessions and rollups refer to it.
