-- +goose Up

-- What goes down to devices. One row a scope: its number, how far its feed goes.
-- floor: up to there the feed has forgotten what went away.
CREATE TABLE feeds (
    id    INTEGER PRIMARY KEY,
    scope TEXT    NOT NULL UNIQUE,
    n     INTEGER NOT NULL,
    mark  BLOB    NOT NULL,
    floor INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The number that each commit reached in a feed, with its random mark. A number
-- in between belongs to the commit that reached the next one here.
CREATE TABLE feed_marks (
    feed INTEGER NOT NULL REFERENCES feeds (id),
    n    INTEGER NOT NULL,
    mark BLOB    NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (feed, n)
) STRICT, WITHOUT ROWID;

-- The latest row of each name. slot: the kind, and for what is gone that of what it was.
CREATE TABLE feed_rows (
    id   INTEGER PRIMARY KEY,
    feed INTEGER NOT NULL REFERENCES feeds (id),
    n    INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    key  TEXT    NOT NULL,
    rev  INTEGER NOT NULL,
    body BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX feed_rows_n ON feed_rows (feed, n);
CREATE UNIQUE INDEX feed_rows_name ON feed_rows (feed, slot, key);
CREATE INDEX feed_rows_gone ON feed_rows (feed, n) WHERE kind = 2;
