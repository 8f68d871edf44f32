-- +goose Up

-- One row a chain: its number, what the hub holds of it, what its device declared.
-- received is the set of received seqs as uvarint pairs: seqs missing before a run, length of the run.
CREATE TABLE chains (
    id            INTEGER PRIMARY KEY,
    device        TEXT    NOT NULL,
    incarnation   INTEGER NOT NULL,
    lane          INTEGER NOT NULL,              -- 1 alert, 2 record
    received      BLOB    NOT NULL DEFAULT x'',
    head          BLOB,                          -- NULL: the genesis head
    archived      INTEGER NOT NULL DEFAULT 0,
    duplicates    INTEGER NOT NULL DEFAULT 0,
    declared      INTEGER NOT NULL DEFAULT 0,
    declared_head BLOB,                          -- NULL: not known
    declared_at   INTEGER NOT NULL DEFAULT 0,
    received_at   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, incarnation, lane)
) STRICT;

-- Words that many entries share: form ids, entity types, actors, codes, carriers.
-- Rows are only ever added, by the transaction that first uses the word.
CREATE TABLE terms (
    id   INTEGER PRIMARY KEY,
    term TEXT NOT NULL UNIQUE
) STRICT;

-- The ledger. number is the order of arrival: entries are never deleted, so it only rises.
-- code, form, entity_type, actor and via are terms. private_hash stands only where the
-- private part was erased; otherwise the hash is that of private.
CREATE TABLE entries (
    number         INTEGER PRIMARY KEY,
    chain          INTEGER NOT NULL REFERENCES chains (id),
    seq            INTEGER NOT NULL,
    verdict        INTEGER NOT NULL,             -- see the verdicts table
    code           INTEGER,
    form           INTEGER,
    form_version   INTEGER NOT NULL,
    entity_type    INTEGER,
    actor          INTEGER,
    via            INTEGER,
    device_time    INTEGER NOT NULL,
    corrected_time INTEGER NOT NULL,
    received_at    INTEGER NOT NULL,
    entity         TEXT,
    words          TEXT,
    hash           BLOB    NOT NULL,
    public         BLOB    NOT NULL,
    private        BLOB,
    private_hash   BLOB
) STRICT;
CREATE UNIQUE INDEX entries_dot ON entries (chain, seq);
-- What is not simply applied (1) is looked for by its verdict.
CREATE INDEX entries_verdict ON entries (verdict) WHERE verdict <> 1;

-- Names of the verdict numbers, for people who read the database by hand.
CREATE TABLE verdicts (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO verdicts (id, name) VALUES
    (0, 'held'), (1, 'applied'), (2, 'merged'), (3, 'conflict'), (4, 'duplicate'),
    (5, 'review'), (6, 'flagged'), (7, 'quarantined'), (8, 'refused');

-- Entries counted by chain and verdict, kept in step by the transactions that change them.
CREATE TABLE tallies (
    chain   INTEGER NOT NULL REFERENCES chains (id),
    verdict INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    PRIMARY KEY (chain, verdict)
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
    chain  INTEGER NOT NULL REFERENCES chains (id),
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    before BLOB    NOT NULL,
    after  BLOB    NOT NULL,
    PRIMARY KEY (chain, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
    id        INTEGER PRIMARY KEY,
    chain     INTEGER NOT NULL REFERENCES chains (id),
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER NOT NULL                   -- 0: still open
) STRICT;
CREATE INDEX gaps_open ON gaps (chain, first) WHERE closed_at = 0;

-- A fork may continue a chain that the hub has nothing of: it names its chain itself.
CREATE TABLE forks (
    id           INTEGER PRIMARY KEY,
    device       TEXT    NOT NULL,
    incarnation  INTEGER NOT NULL,
    lane         INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    hash         BLOB    NOT NULL,
    code         TEXT    NOT NULL,
    via          TEXT    NOT NULL,
    received_at  INTEGER NOT NULL,
    public       BLOB    NOT NULL,
    private      BLOB,
    private_hash BLOB,
    UNIQUE (device, incarnation, lane, seq, hash)
) STRICT;

CREATE TABLE devices (
    name        TEXT PRIMARY KEY,
    scopes      TEXT    NOT NULL,                -- a JSON list
    added_at    INTEGER NOT NULL,
    enrolled_at INTEGER NOT NULL DEFAULT 0,
    revoked_at  INTEGER NOT NULL DEFAULT 0,
    incarnation INTEGER NOT NULL DEFAULT 0,
    contact_at  INTEGER NOT NULL DEFAULT 0,      -- what it said at its last hello
    skew        INTEGER NOT NULL DEFAULT 0,
    version     TEXT    NOT NULL DEFAULT '',
    battery     INTEGER NOT NULL DEFAULT 0,
    disk_free   INTEGER NOT NULL DEFAULT 0,
    blobs       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- One-time codes, by hash. A code that a later one replaced is kept, to tell its holder so.
CREATE TABLE codes (
    hash        BLOB PRIMARY KEY,
    device      TEXT    NOT NULL REFERENCES devices (name),
    added_at    INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER NOT NULL DEFAULT 0,
    replaced_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX codes_open ON codes (device) WHERE used_at = 0 AND replaced_at = 0;

CREATE TABLE device_keys (
    device      TEXT    NOT NULL REFERENCES devices (name),
    incarnation INTEGER NOT NULL,
    sign_key    BLOB    NOT NULL,
    nats_key    TEXT    NOT NULL,
    enrolled_at INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, incarnation)
) STRICT, WITHOUT ROWID;

CREATE TABLE findings (
    id         INTEGER PRIMARY KEY,
    device     TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    words      TEXT    NOT NULL,
    value      INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    closed_at  INTEGER NOT NULL                  -- 0: still so
) STRICT;
CREATE UNIQUE INDEX findings_open ON findings (device, code) WHERE closed_at = 0;

-- AUTOINCREMENT: the oldest rows give way, and their ids must not come back.
CREATE TABLE unattributed (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    via         TEXT    NOT NULL,
    claims      TEXT    NOT NULL,
    code        TEXT    NOT NULL,
    words       TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    digest      BLOB    NOT NULL,                -- SHA-256 of the frame as it was handed in, and its size
    frame       BLOB    NOT NULL,
    UNIQUE (digest, via)
) STRICT;

-- Counts over the hub's whole life of what is not kept for ever.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, n) VALUES ('unattributed', 0);

CREATE TABLE epoch (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    epoch   BLOB    NOT NULL,
    parent  BLOB    NOT NULL,
    lineage INTEGER NOT NULL,
    minted  INTEGER NOT NULL
) STRICT;
