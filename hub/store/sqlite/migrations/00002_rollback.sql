-- +goose Up

-- What devices proved that the hub once had and no longer has, since it was put
-- back to an older copy: one open row a chain, closed when all of it came back.
-- missing counts the seqs between first and last that were missing when noted.
CREATE TABLE losses (
    id          INTEGER PRIMARY KEY,
    chain       INTEGER NOT NULL REFERENCES chains (id),
    epoch       BLOB    NOT NULL,                -- under which it comes back
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    missing     INTEGER NOT NULL,
    noted_at    INTEGER NOT NULL,
    regained_at INTEGER NOT NULL DEFAULT 0       -- 0: not all of it yet
) STRICT;
CREATE UNIQUE INDEX losses_open ON losses (chain) WHERE regained_at = 0;
