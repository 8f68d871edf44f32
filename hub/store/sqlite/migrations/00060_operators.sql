-- +goose Up

-- Who works at the hub. Passwords are argon2id hashes, secrets of the second
-- factor are sealed; nothing here opens a session by itself.
CREATE TABLE operators (
    name        TEXT PRIMARY KEY,
    title       TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    scopes      TEXT    NOT NULL,                -- a JSON list
    password    TEXT    NOT NULL,
    totp        BLOB,                            -- NULL: no second factor
    totp_step   INTEGER NOT NULL,
    added_at    INTEGER NOT NULL,
    disabled_at INTEGER NOT NULL,                -- 0: works here
    generation  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Browsers that signed in, by the hash of their secret.
CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY,
    operator   TEXT    NOT NULL REFERENCES operators (name),
    generation INTEGER NOT NULL,
    began_at   INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    came_from  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_operator ON sessions (operator);
CREATE INDEX sessions_ends ON sessions (ends_at);

CREATE TABLE links (
    hash       BLOB PRIMARY KEY,
    operator   TEXT    NOT NULL REFERENCES operators (name),
    added_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_tokens (
    hash       BLOB PRIMARY KEY,
    operator   TEXT    NOT NULL REFERENCES operators (name),
    label      TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,                 -- a JSON list
    added_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL                  -- 0: valid
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_tokens_label ON api_tokens (operator, label) WHERE revoked_at = 0;
