-- +goose Up

-- The items that an entry is part of, and the open ones of a kind in their order.
CREATE TABLE item_entries (
    entry TEXT    NOT NULL,
    item  INTEGER NOT NULL REFERENCES items (id),
    PRIMARY KEY (entry, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_entries_item ON item_entries (item);
WITH RECURSIVE split (id, head, rest) AS (
    SELECT id, '', entries FROM items
    UNION ALL
    SELECT id, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1) FROM split WHERE instr(rest, char(10)) > 0
)
INSERT INTO item_entries (entry, item) SELECT DISTINCT head, id FROM split WHERE head <> '';

CREATE INDEX items_entity ON items (entity_type, entity);
CREATE INDEX items_kind ON items (kind, opened_at, id) WHERE state = 'open';
