-- +goose Up

-- By what words entries are found: FNV-1a numbers of words, see the contract. at is
-- the entry's corrected time; a word's rows are in the order of the records page.
CREATE TABLE found (
    word  BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    chain BIGINT NOT NULL REFERENCES chains (id),
    seq   BIGINT NOT NULL,
    PRIMARY KEY (word, at, chain, seq)
);

-- And entities, in the order in which the hub came to know them.
CREATE TABLE found_entities (
    word   BIGINT NOT NULL,
    entity BIGINT NOT NULL REFERENCES entities (id),
    PRIMARY KEY (word, entity)
);
CREATE INDEX found_entities_entity ON found_entities (entity);

-- What was there before this table has no words yet: entries above after_number up to
-- last_number, entities behind (after_type, after_name). They are given some at a time.
CREATE TABLE unindexed (
    only_row     BIGINT PRIMARY KEY CHECK (only_row = 1),
    after_number BIGINT NOT NULL,
    last_number  BIGINT NOT NULL,
    entities     BIGINT NOT NULL,
    after_type   TEXT COLLATE "C" NOT NULL,
    after_name   TEXT COLLATE "C" NOT NULL
);
INSERT INTO unindexed (only_row, after_number, last_number, entities, after_type, after_name)
    SELECT 1, 0, (SELECT coalesce(max(number), 0) FROM entries), (SELECT count(*) FROM (SELECT 1 FROM entities LIMIT 1) few), '', '';
