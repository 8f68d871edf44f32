-- +goose Up

-- factor_at: when the second factor was set; 0: there is none, or it was set before this was kept.
ALTER TABLE operators ADD COLUMN factor_at BIGINT NOT NULL DEFAULT 0;
