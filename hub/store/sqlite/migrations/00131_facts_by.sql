-- +goose Up

-- What somebody did, newest first.
CREATE INDEX facts_by ON facts (by, number);
