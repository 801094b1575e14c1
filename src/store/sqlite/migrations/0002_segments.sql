-- Store format 2: segments and users' attributes.

-- segments_seq grows with each change of which sessions are counted for which segment, people_seq with each change of
-- users' attributes: a writer looks here, in its own transaction, to see whether what it holds is stale. last_series
-- is the last number that was given to a segment's counters; none is given twice.
ALTER TABLE meta ADD COLUMN segments_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN people_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN last_series INTEGER NOT NULL DEFAULT 0;

-- How many segments with analytics tracking a workspace may have.
ALTER TABLE workspaces ADD COLUMN segment_limit INTEGER NOT NULL DEFAULT 25;

CREATE TABLE segments (
    ordinal     INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    workspace   INTEGER NOT NULL REFERENCES workspaces (ordinal),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    tags        TEXT NOT NULL,    -- JSON array
    filter      TEXT NOT NULL,    -- JSON
    state       INTEGER NOT NULL, -- 0: not tracked, 1: waits to be counted, 2: is being counted, 3: counted
    series      INTEGER UNIQUE,   -- its number in counters.segments; NULL while it is not tracked
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (workspace, name)
) STRICT;

-- One row. The pass over the past that counts all segments in state 2: sessions up to this key, in the order of the
-- sessions table, are in their counters, those that were recorded since the pass went by as well.
CREATE TABLE pass (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    app        INTEGER NOT NULL,
    day        INTEGER NOT NULL,
    session_id ANY NOT NULL,
    done       INTEGER NOT NULL, -- sessions that were walked
    total      INTEGER NOT NULL  -- sessions there were when the pass began
) STRICT;

INSERT INTO pass VALUES (1, 0, 0, '', 0, 0);

-- Combinations of users' attributes, each once, as canonical JSON.
CREATE TABLE attribute_sets (
    ordinal INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
) STRICT;

-- seen: whether a session of this person was recorded; persons of format 1 all count as seen.
ALTER TABLE identities ADD COLUMN seen INTEGER NOT NULL DEFAULT 1;
ALTER TABLE identities ADD COLUMN attributes INTEGER; -- attribute_sets.ordinal

-- The counters of all segments of a quarter hour stand in its row, so that a session that belongs to many segments
-- still touches one place.
ALTER TABLE counters RENAME TO counters_1;

CREATE TABLE counters (
    app      INTEGER NOT NULL,
    quarter  INTEGER NOT NULL, -- Unix seconds of its first instant / 900
    sessions INTEGER NOT NULL,
    segments BLOB NOT NULL,    -- by series, ascending: its number and its sessions, 4 bytes each, little-endian
    PRIMARY KEY (app, quarter)
) STRICT, WITHOUT ROWID;

INSERT INTO counters SELECT app, quarter, sessions, x'' FROM counters_1 WHERE segment = 0;

DROP TABLE counters_1;
