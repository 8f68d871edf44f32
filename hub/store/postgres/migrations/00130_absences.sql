-- +goose Up

-- Times in which devices are expected to be out of reach, as operators said.
CREATE TABLE absences (
    device     TEXT COLLATE "C" NOT NULL REFERENCES devices (name),
    from_at    BIGINT NOT NULL,
    until_at   BIGINT NOT NULL,
    words      TEXT COLLATE "C" NOT NULL,
    planned_by TEXT COLLATE "C" NOT NULL,
    planned_at BIGINT NOT NULL,
    PRIMARY KEY (device, from_at)
);
