-- Store format 6: sessions of old days can go while their rollups stay, and weeks begin on a day of the workspace's choice.

-- Days for which sessions are kept one by one; 0: for ever. Days that are older are sealed: days.sealed is 1, and their rows of
-- day_cells and day_people, with the number of the day, are the truth.
ALTER TABLE workspaces ADD COLUMN retention_days INTEGER NOT NULL DEFAULT 0;
-- The first day (days since 1970-01-01) that was not to be sealed when days were sealed last: sessions before it are refused,
-- whatever the retention is now.
ALTER TABLE workspaces ADD COLUMN sealed_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN first_weekday TEXT NOT NULL DEFAULT 'monday';
