-- +goose Up

-- The ledger of what the hub itself authored: one row a fact, never changed.
-- signed is the fact as it was signed and journalled; the other columns repeat
-- parts of it for queries. hash covers signed and goes into the fact after it.
CREATE TABLE facts (
    number  INTEGER PRIMARY KEY,
    id      BLOB    NOT NULL UNIQUE,
    hash    BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    signed  BLOB    NOT NULL
) STRICT;
CREATE INDEX facts_kind ON facts (kind, number);
CREATE INDEX facts_subject ON facts (subject, number);

-- Devices that may send and are told nothing until an operator has confirmed
-- that they were not revoked.
CREATE TABLE doubts (
    device TEXT    PRIMARY KEY REFERENCES devices (name),
    since  INTEGER NOT NULL,
    why    TEXT    NOT NULL
) STRICT;
