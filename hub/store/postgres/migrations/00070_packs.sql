-- +goose Up

-- Form packs that were published. signed: the edition as devices get it. at: the hub's
-- clock, milliseconds. pack_pieces: what editions are made of, by SHA-256.
CREATE TABLE packs (
    id      TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    signed  BYTEA NOT NULL,
    at      BIGINT NOT NULL,
    by      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (id, version)
);
CREATE TABLE pack_pieces (
    hash BYTEA NOT NULL PRIMARY KEY,
    body BYTEA NOT NULL
);

-- The version of the pack by which a device last said that it works.
ALTER TABLE devices ADD COLUMN pack TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN pack_version BIGINT NOT NULL DEFAULT 0;
