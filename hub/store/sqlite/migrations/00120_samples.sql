-- +goose Up

-- How the hub stood, a row for each step of time. step: its length in milliseconds;
-- at: its begin. The oldest of each step are forgotten.
CREATE TABLE samples (
    step     INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    waiting  INTEGER NOT NULL,
    missing  INTEGER NOT NULL,
    open     INTEGER NOT NULL,
    aside    INTEGER NOT NULL,
    devices  INTEGER NOT NULL,
    silent   INTEGER NOT NULL,
    contacts INTEGER NOT NULL,
    entries  INTEGER NOT NULL,
    PRIMARY KEY (step, at)
) STRICT, WITHOUT ROWID;
