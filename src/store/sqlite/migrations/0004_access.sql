-- Store format 4: who may look at the dashboard.

-- Rows that stand for a secret or a name, of which only the SHA-256 is kept; see store::access.
CREATE TABLE access (
    kind       INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    content    TEXT    NOT NULL, -- JSON
    expires_at INTEGER NOT NULL, -- Unix milliseconds
    PRIMARY KEY (kind, hash)
) STRICT, WITHOUT ROWID;
