-- +goose Up

-- Form packs that were published. signed: the edition as devices get it. at: the hub's
-- clock, milliseconds. pack_pieces: what editions are made of, by SHA-256.
CREATE TABLE packs (
    id      TEXT    NOT NULL,
    version INTEGER NOT NULL,
    signed  BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    PRIMARY KEY (id, version)
) STRICT;
CREATE TABLE pack_pieces (
    hash BLOB NOT NULL PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- The version of the pack by which a device last said that it works.
ALTER TABLE devices ADD COLUMN pack TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN pack_version INTEGER NOT NULL DEFAULT 0;
