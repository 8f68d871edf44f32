-- +goose Up

-- Official lists, one of each kind: the latest import, and when it was compared.
CREATE TABLE rosters (
    kind       TEXT PRIMARY KEY,
    import     INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    by         TEXT    NOT NULL,
    file       TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    columns    TEXT    NOT NULL,                 -- JSON
    row_count  INTEGER NOT NULL,
    matched    INTEGER NOT NULL DEFAULT 0,       -- the import that was compared last
    matched_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What rows said, from one import to another: nothing is erased. until 0: it stands.
CREATE TABLE roster_rows (
    kind     TEXT    NOT NULL,
    row_key  TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    line     INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    number   TEXT    NOT NULL,
    birth    TEXT    NOT NULL,
    phone    TEXT    NOT NULL,
    place    TEXT    NOT NULL,
    problems TEXT    NOT NULL,                   -- a JSON list
    PRIMARY KEY (kind, row_key, since)
) STRICT, WITHOUT ROWID;

-- What became of rows, and of persons who are not listed (line 0), when they were
-- compared. It is worked out again whenever it is asked for.
CREATE TABLE roster_matches (
    kind     TEXT    NOT NULL,
    row_key  TEXT    NOT NULL,
    line     INTEGER NOT NULL,
    standing TEXT    NOT NULL,
    person   TEXT    NOT NULL,
    waits    INTEGER NOT NULL,                   -- 1: for a person
    seen     TEXT    NOT NULL,
    evidence TEXT    NOT NULL,                   -- JSON
    PRIMARY KEY (kind, row_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX roster_matches_line ON roster_matches (kind, line, row_key);
CREATE INDEX roster_matches_standing ON roster_matches (kind, standing, line, row_key, waits);
CREATE INDEX roster_matches_waits ON roster_matches (kind, line, row_key) WHERE waits = 1;

-- What operators decided about rows. ruling: JSON.
CREATE TABLE roster_rulings (
    kind    TEXT NOT NULL,
    row_key TEXT NOT NULL,
    ruling  TEXT NOT NULL,
    PRIMARY KEY (kind, row_key)
) STRICT, WITHOUT ROWID;

-- Pieces of a list that is about to be imported.
CREATE TABLE roster_pieces (
    hash BLOB PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
