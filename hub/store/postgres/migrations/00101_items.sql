-- +goose Up

-- The items that an entry is part of, and the open ones of a kind in their order.
CREATE TABLE item_entries (
    entry TEXT COLLATE "C" NOT NULL,
    item  BIGINT NOT NULL REFERENCES items (id),
    PRIMARY KEY (entry, item)
);
CREATE INDEX item_entries_item ON item_entries (item);
INSERT INTO item_entries (entry, item)
    SELECT DISTINCT head, id FROM items, unnest(string_to_array(entries, chr(10))) AS head WHERE head <> '';

CREATE INDEX items_entity ON items (entity_type, entity);
CREATE INDEX items_kind ON items (kind, opened_at, id) WHERE state = 'open';
