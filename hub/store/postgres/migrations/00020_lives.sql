-- +goose Up

-- Lives of devices: each one that a device claimed, or of which entries arrived
-- that a key of the device signed. enrolled is the incarnation of the enrolment
-- whose key it signs with. twin_of is the older life that was found to be live
-- beside it; a twin gets nothing until confirmed_at.
CREATE TABLE lives (
    device       TEXT COLLATE "C" NOT NULL REFERENCES devices (name),
    incarnation  BIGINT NOT NULL,
    life         BYTEA,                          -- its random id; NULL: known by its entries alone
    reason       BIGINT NOT NULL,
    previous     BIGINT NOT NULL,
    enrolled     BIGINT NOT NULL,
    claimed_at   BIGINT NOT NULL,
    spoke_at     BIGINT NOT NULL DEFAULT 0,    -- its last hello, 0: none
    twin_at      BIGINT NOT NULL DEFAULT 0,    -- 0: no twin
    twin_of      BIGINT NOT NULL DEFAULT 0,
    confirmed_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (device, incarnation)
);

-- Where the fact of an older form (dot, hash) is now: the first entry that named
-- it as its was.
CREATE TABLE rehomed (
    device      TEXT COLLATE "C" NOT NULL,
    incarnation BIGINT NOT NULL,
    lane        BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    hash        BYTEA NOT NULL,
    now_chain   BIGINT NOT NULL REFERENCES chains (id),
    now_seq     BIGINT NOT NULL,
    PRIMARY KEY (device, incarnation, lane, seq, hash)
);

-- A fork is resolved when its fact came in again under another dot.
ALTER TABLE forks ADD COLUMN resolved_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE forks ADD COLUMN now_chain BIGINT REFERENCES chains (id);
ALTER TABLE forks ADD COLUMN now_seq BIGINT NOT NULL DEFAULT 0;
CREATE INDEX forks_open ON forks (device) WHERE resolved_at = 0;

-- Seqs for which the hub waits no more, as received is written; and how far
-- entries were applied past them: NULL, as far as nothing is missing.
ALTER TABLE chains ADD COLUMN sealed BYTEA NOT NULL DEFAULT '';
ALTER TABLE chains ADD COLUMN joined BIGINT NOT NULL DEFAULT 0;
ALTER TABLE chains ADD COLUMN joined_head BYTEA;
