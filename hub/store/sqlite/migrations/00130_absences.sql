-- +goose Up

-- Times in which devices are expected to be out of reach, as operators said.
CREATE TABLE absences (
    device     TEXT    NOT NULL REFERENCES devices (name),
    from_at    INTEGER NOT NULL,
    until_at   INTEGER NOT NULL,
    words      TEXT    NOT NULL,
    planned_by TEXT    NOT NULL,
    planned_at INTEGER NOT NULL,
    PRIMARY KEY (device, from_at)
) STRICT;
