-- +goose Up

-- What entries count for by the rules of a pack. arrived: the order of arrival.
-- of_entry: the dot that it repeats, empty when it counts itself. at: the hub's
-- clock, milliseconds.
CREATE TABLE marks (
    arrived  INTEGER PRIMARY KEY,
    rule     TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    entry    TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    of_entry TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX marks_key ON marks (rule, key, entry);

-- Why an entry has the verdict that it has, when it is not plainly applied: the
-- first by precedence is its verdict, the others wait for it to go.
CREATE TABLE reasons (
    entry   TEXT NOT NULL,
    verdict TEXT NOT NULL,
    code    TEXT NOT NULL,
    words   TEXT NOT NULL,
    PRIMARY KEY (entry, verdict, code)
) STRICT, WITHOUT ROWID;
