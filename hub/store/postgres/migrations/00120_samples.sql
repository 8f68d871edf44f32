-- +goose Up

-- How the hub stood, a row for each step of time. step: its length in milliseconds;
-- at: its begin. The oldest of each step are forgotten.
CREATE TABLE samples (
    step     BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    waiting  BIGINT NOT NULL,
    missing  BIGINT NOT NULL,
    open     BIGINT NOT NULL,
    aside    BIGINT NOT NULL,
    devices  BIGINT NOT NULL,
    silent   BIGINT NOT NULL,
    contacts BIGINT NOT NULL,
    entries  BIGINT NOT NULL,
    PRIMARY KEY (step, at)
);
