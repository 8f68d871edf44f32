-- +goose Up

-- Lives of devices: each one that a device claimed, or of which entries arrived
-- that a key of the device signed. enrolled is the incarnation of the enrolment
-- whose key it signs with. twin_of is the older life that was found to be live
-- beside it; a twin gets nothing until confirmed_at.
CREATE TABLE lives (
    device       TEXT    NOT NULL REFERENCES devices (name),
    incarnation  INTEGER NOT NULL,
    life         BLOB,                          -- its random id; NULL: known by its entries alone
    reason       INTEGER NOT NULL,
    previous     INTEGER NOT NULL,
    enrolled     INTEGER NOT NULL,
    claimed_at   INTEGER NOT NULL,
    spoke_at     INTEGER NOT NULL DEFAULT 0,    -- its last hello, 0: none
    twin_at      INTEGER NOT NULL DEFAULT 0,    -- 0: no twin
    twin_of      INTEGER NOT NULL DEFAULT 0,
    confirmed_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, incarnation)
) STRICT, WITHOUT ROWID;

-- Where the fact of an older form (dot, hash) is now: the first entry that named
-- it as its was.
CREATE TABLE rehomed (
    device      TEXT    NOT NULL,
    incarnation INTEGER NOT NULL,
    lane        INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    now_chain   INTEGER NOT NULL REFERENCES chains (id),
    now_seq     INTEGER NOT NULL,
    PRIMARY KEY (device, incarnation, lane, seq, hash)
) STRICT, WITHOUT ROWID;

-- A fork is resolved when its fact came in again under another dot.
ALTER TABLE forks ADD COLUMN resolved_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE forks ADD COLUMN now_chain INTEGER REFERENCES chains (id);
ALTER TABLE forks ADD COLUMN now_seq INTEGER NOT NULL DEFAULT 0;
CREATE INDEX forks_open ON forks (device) WHERE resolved_at = 0;

-- Seqs for which the hub waits no more, as received is written; and how far
-- entries were applied past them: NULL, as far as nothing is missing.
ALTER TABLE chains ADD COLUMN sealed BLOB NOT NULL DEFAULT x'';
ALTER TABLE chains ADD COLUMN joined INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chains ADD COLUMN joined_head BLOB;
