-- +goose Up

-- Entities as the hub has them. state: their bytes, see internal/merge. scopes and
-- disputed (registers with an open item): texts, each followed by a newline.
CREATE TABLE entities (
    id       INTEGER PRIMARY KEY,
    type     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    rev      INTEGER NOT NULL,
    scopes   TEXT    NOT NULL,
    disputed TEXT    NOT NULL,
    state    BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX entities_ref ON entities (type, name);

-- The entities on whose fields the scopes of another depend. A parent may be unknown yet.
CREATE TABLE entity_parents (
    parent_type TEXT    NOT NULL,
    parent      TEXT    NOT NULL,
    child       INTEGER NOT NULL REFERENCES entities (id),
    PRIMARY KEY (parent_type, parent, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX entity_parents_child ON entity_parents (child);

-- What a person has to look at. entries: dots, each followed by a newline.
CREATE TABLE items (
    id          INTEGER PRIMARY KEY,
    kind        TEXT    NOT NULL,
    entity_type TEXT    NOT NULL,
    entity      TEXT    NOT NULL,
    field       TEXT    NOT NULL,
    entries     TEXT    NOT NULL,
    evidence    TEXT    NOT NULL,
    opened_at   INTEGER NOT NULL,
    owner       TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    closed_at   INTEGER NOT NULL,
    decision    TEXT    NOT NULL,
    decided_by  TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    times       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX items_of ON items (kind, entity_type, entity, field);
CREATE INDEX items_open ON items (opened_at) WHERE state = 'open';
