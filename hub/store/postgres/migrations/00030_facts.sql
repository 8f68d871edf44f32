-- +goose Up

-- The ledger of what the hub itself authored: one row a fact, never changed.
-- signed is the fact as it was signed and journalled; the other columns repeat
-- parts of it for queries. hash covers signed and goes into the fact after it.
CREATE TABLE facts (
    number  BIGINT PRIMARY KEY,
    id      BYTEA NOT NULL UNIQUE,
    hash    BYTEA NOT NULL,
    at      BIGINT NOT NULL,
    by      TEXT COLLATE "C" NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    signed  BYTEA NOT NULL
);
CREATE INDEX facts_kind ON facts (kind, number);
CREATE INDEX facts_subject ON facts (subject, number);

-- Devices that may send and are told nothing until an operator has confirmed
-- that they were not revoked.
CREATE TABLE doubts (
    device TEXT COLLATE "C" PRIMARY KEY REFERENCES devices (name),
    since  BIGINT NOT NULL,
    why    TEXT COLLATE "C" NOT NULL
);
