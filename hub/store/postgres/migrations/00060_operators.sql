-- +goose Up

-- Who works at the hub. Passwords are argon2id hashes, secrets of the second
-- factor are sealed; nothing here opens a session by itself.
CREATE TABLE operators (
    name        TEXT COLLATE "C" PRIMARY KEY,
    title       TEXT COLLATE "C" NOT NULL,
    role        TEXT COLLATE "C" NOT NULL,
    scopes      TEXT COLLATE "C" NOT NULL,                -- a JSON list
    password    TEXT COLLATE "C" NOT NULL,
    totp        BYTEA,                            -- NULL: no second factor
    totp_step   BIGINT NOT NULL,
    added_at    BIGINT NOT NULL,
    disabled_at BIGINT NOT NULL,                -- 0: works here
    generation  BIGINT NOT NULL
);

-- Browsers that signed in, by the hash of their secret.
CREATE TABLE sessions (
    hash       BYTEA PRIMARY KEY,
    operator   TEXT COLLATE "C" NOT NULL REFERENCES operators (name),
    generation BIGINT NOT NULL,
    began_at   BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    came_from  TEXT COLLATE "C" NOT NULL
);
CREATE INDEX sessions_operator ON sessions (operator);
CREATE INDEX sessions_ends ON sessions (ends_at);

CREATE TABLE links (
    hash       BYTEA PRIMARY KEY,
    operator   TEXT COLLATE "C" NOT NULL REFERENCES operators (name),
    added_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE api_tokens (
    hash       BYTEA PRIMARY KEY,
    operator   TEXT COLLATE "C" NOT NULL REFERENCES operators (name),
    label      TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    scopes     TEXT COLLATE "C" NOT NULL,                 -- a JSON list
    added_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL                  -- 0: valid
);
CREATE UNIQUE INDEX api_tokens_label ON api_tokens (operator, label) WHERE revoked_at = 0;
