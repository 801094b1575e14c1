-- Store format 3: what is derived from sessions carries the number of what it counted.

-- A row for each day (UTC) of an app that has sessions, written in the transaction that adds them.
CREATE TABLE days (
    app    INTEGER NOT NULL,
    day    INTEGER NOT NULL, -- days since 1970-01-01
    seq    INTEGER NOT NULL, -- meta.commit_seq of the transaction that added or removed sessions last
    sealed INTEGER NOT NULL DEFAULT 0, -- 1: its sessions are gone, its rollup is the truth
    totals BLOB NOT NULL,    -- sessions by quarter hour; see rollup::Totals
    PRIMARY KEY (app, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX days_by_seq ON days (seq);

-- Rollups of days, built when somebody asks: good while their seq is that of the day. Losing them costs time alone.
CREATE TABLE day_cells (
    app     INTEGER NOT NULL,
    day     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    content BLOB NOT NULL, -- sessions by combination and quarter hour; see rollup::Cells
    PRIMARY KEY (app, day)
) STRICT;

CREATE TABLE day_people (
    app     INTEGER NOT NULL,
    day     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    content BLOB NOT NULL, -- persons with their visits; see rollup::People
    PRIMARY KEY (app, day)
) STRICT;

-- Segments have no counters of their own any more, so nothing says how far counting them has come.
CREATE TABLE segments_3 (
    ordinal     INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    workspace   INTEGER NOT NULL REFERENCES workspaces (ordinal),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    tags        TEXT NOT NULL,    -- JSON array
    filter      TEXT NOT NULL,    -- JSON
    tracked     INTEGER NOT NULL, -- 1: analytics tracking is on
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (workspace, name)
) STRICT;

INSERT INTO segments_3
SELECT ordinal, id, workspace, name, description, tags, filter, state > 0, created_at, updated_at FROM segments;

DROP TABLE segments;
ALTER TABLE segments_3 RENAME TO segments;

DROP TABLE pass;
ALTER TABLE meta DROP COLUMN segments_seq;
ALTER TABLE meta DROP COLUMN last_series;

-- 0 is no limit. 25 was what every workspace had whose limit nobody had set.
UPDATE workspaces SET segment_limit = 0 WHERE segment_limit = 25;

-- Every day gets this number. The rows of days are made of counters by schema.rs, which removes that table in the end.
UPDATE meta SET commit_seq = commit_seq + 1;
