-- +goose Up

-- Photos and files that entries name. entry: the first that did. named_at, got_at:
-- the hub's clock, milliseconds; got_at is NULL until the whole file is here;
-- lost: it was here, and is not any more.
CREATE TABLE blobs (
    number   INTEGER PRIMARY KEY,
    hash     BLOB    NOT NULL UNIQUE,
    size     INTEGER NOT NULL,
    mime     TEXT    NOT NULL,
    device   TEXT    NOT NULL,
    entry    TEXT    NOT NULL,
    named_at INTEGER NOT NULL,
    got_at   INTEGER,
    lost     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX blobs_missing ON blobs (number) WHERE got_at IS NULL;
CREATE INDEX blobs_lost ON blobs (device) WHERE lost = 1;
CREATE INDEX blobs_device ON blobs (device, number);
