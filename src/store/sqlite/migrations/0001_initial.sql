-- Store format 1. Times are Unix milliseconds unless a comment says otherwise.

-- One row. commit_seq grows with each transaction that changes sessions or counters, catalog_seq with each
-- that changes workspaces, apps or keys: other processes look here to see whether what they hold is stale.
CREATE TABLE meta (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    commit_seq  INTEGER NOT NULL,
    catalog_seq INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE workspaces (
    ordinal         INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL UNIQUE,
    time_zone       TEXT NOT NULL,
    export_limit    INTEGER NOT NULL,
    recording_limit INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE apps (
    ordinal    INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    workspace  INTEGER NOT NULL REFERENCES workspaces (ordinal),
    name       TEXT NOT NULL,
    platform   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (workspace, name)
) STRICT;

CREATE TABLE api_keys (
    ordinal      INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    workspace    INTEGER NOT NULL REFERENCES workspaces (ordinal),
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    permissions  TEXT NOT NULL, -- JSON array of names, or ["all"]
    allow        TEXT NOT NULL, -- JSON array of CIDR networks; empty: any address
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE UNIQUE INDEX live_key_names ON api_keys (workspace, name) WHERE revoked_at IS NULL;

-- Users and devices get an ordinal each, so that sessions stay small and bitmaps of users dense.
-- kind: 1 = user_id, 2 = device_id. A forgotten one keeps its row with value NULL.
CREATE TABLE identities (
    ordinal   INTEGER PRIMARY KEY,
    workspace INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    value     TEXT,
    UNIQUE (workspace, kind, value)
) STRICT;

-- Each combination of platform, versions, device, place and attributes once, as canonical JSON.
CREATE TABLE properties (
    ordinal INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
) STRICT;

-- The truth. The day comes before the session id in the key, so that what arrives together lies together.
CREATE TABLE sessions (
    app        INTEGER NOT NULL,
    day        INTEGER NOT NULL, -- UTC date of the start, days since 1970-01-01
    session_id ANY NOT NULL,     -- BLOB of 16 bytes for a lower-case hyphenated UUID, else TEXT
    start      INTEGER NOT NULL, -- milliseconds since the start of that day
    duration   INTEGER,          -- milliseconds; NULL while the end is unknown
    user       INTEGER,          -- identities.ordinal
    device     INTEGER,          -- identities.ordinal
    properties INTEGER NOT NULL, -- properties.ordinal
    PRIMARY KEY (app, day, session_id)
) STRICT, WITHOUT ROWID;

-- Derived from sessions: how many started in each quarter hour. segment 0 is everyone.
CREATE TABLE counters (
    app      INTEGER NOT NULL,
    segment  INTEGER NOT NULL,
    quarter  INTEGER NOT NULL, -- Unix seconds of its first instant / 900
    sessions INTEGER NOT NULL,
    PRIMARY KEY (app, segment, quarter)
) STRICT, WITHOUT ROWID;
