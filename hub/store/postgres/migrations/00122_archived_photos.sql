-- +goose Up

-- archived_at: when a photo lay in two verified backups; NULL: it does not.
ALTER TABLE blobs ADD COLUMN archived_at BIGINT;
