-- +goose Up

-- By what words entries are found: FNV-1a numbers of words, see the contract. at is
-- the entry's corrected time; a word's rows are in the order of the records page.
CREATE TABLE found (
    word  INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    chain INTEGER NOT NULL REFERENCES chains (id),
    seq   INTEGER NOT NULL,
    PRIMARY KEY (word, at, chain, seq)
) STRICT, WITHOUT ROWID;

-- And entities, in the order in which the hub came to know them.
CREATE TABLE found_entities (
    word   INTEGER NOT NULL,
    entity INTEGER NOT NULL REFERENCES entities (id),
    PRIMARY KEY (word, entity)
) STRICT, WITHOUT ROWID;
CREATE INDEX found_entities_entity ON found_entities (entity);

-- What was there before this table has no words yet: entries above after_number up to
-- last_number, entities behind (after_type, after_name). They are given some at a time.
CREATE TABLE unindexed (
    only_row     INTEGER PRIMARY KEY CHECK (only_row = 1),
    after_number INTEGER NOT NULL,
    last_number  INTEGER NOT NULL,
    entities     INTEGER NOT NULL,
    after_type   TEXT    NOT NULL,
    after_name   TEXT    NOT NULL
) STRICT;
INSERT INTO unindexed (only_row, after_number, last_number, entities, after_type, after_name)
    SELECT 1, 0, (SELECT coalesce(max(number), 0) FROM entries), (SELECT count(*) FROM (SELECT 1 FROM entities LIMIT 1)), '', '';
