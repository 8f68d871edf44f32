-- +goose Up

-- Photos are looked for by the day and by the record that names them.
CREATE INDEX blobs_named ON blobs (named_at);
CREATE INDEX blobs_entry ON blobs (entry);
