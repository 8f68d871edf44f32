-- +goose Up

-- Official lists, one of each kind: the latest import, and when it was compared.
CREATE TABLE rosters (
    kind       TEXT COLLATE "C" PRIMARY KEY,
    import     BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    by         TEXT COLLATE "C" NOT NULL,
    file       TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    columns    TEXT COLLATE "C" NOT NULL,                 -- JSON
    row_count  BIGINT NOT NULL,
    matched    BIGINT NOT NULL DEFAULT 0,       -- the import that was compared last
    matched_at BIGINT NOT NULL DEFAULT 0
);

-- What rows said, from one import to another: nothing is erased. until 0: it stands.
CREATE TABLE roster_rows (
    kind     TEXT COLLATE "C" NOT NULL,
    row_key  TEXT COLLATE "C" NOT NULL,
    since    BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    line     BIGINT NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    number   TEXT COLLATE "C" NOT NULL,
    birth    TEXT COLLATE "C" NOT NULL,
    phone    TEXT COLLATE "C" NOT NULL,
    place    TEXT COLLATE "C" NOT NULL,
    problems TEXT COLLATE "C" NOT NULL,                   -- a JSON list
    PRIMARY KEY (kind, row_key, since)
);

-- What became of rows, and of persons who are not listed (line 0), when they were
-- compared. It is worked out again whenever it is asked for.
CREATE TABLE roster_matches (
    kind     TEXT COLLATE "C" NOT NULL,
    row_key  TEXT COLLATE "C" NOT NULL,
    line     BIGINT NOT NULL,
    standing TEXT COLLATE "C" NOT NULL,
    person   TEXT COLLATE "C" NOT NULL,
    waits    BIGINT NOT NULL,                   -- 1: for a person
    seen     TEXT COLLATE "C" NOT NULL,
    evidence TEXT COLLATE "C" NOT NULL,                   -- JSON
    PRIMARY KEY (kind, row_key)
);
CREATE INDEX roster_matches_line ON roster_matches (kind, line, row_key);
CREATE INDEX roster_matches_standing ON roster_matches (kind, standing, line, row_key, waits);
CREATE INDEX roster_matches_waits ON roster_matches (kind, line, row_key) WHERE waits = 1;

-- What operators decided about rows. ruling: JSON.
CREATE TABLE roster_rulings (
    kind    TEXT COLLATE "C" NOT NULL,
    row_key TEXT COLLATE "C" NOT NULL,
    ruling  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, row_key)
);

-- Pieces of a list that is about to be imported.
CREATE TABLE roster_pieces (
    hash BYTEA PRIMARY KEY,
    body BYTEA NOT NULL
);
