-- The first schema. The two folders differ in the names of types alone.
CREATE TABLE accounts (
    id          TEXT PRIMARY KEY,
    -- Lower case: no two people's names differ by that alone.
    name_key    TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    account_key BYTEA NOT NULL UNIQUE,
    password    BYTEA,
    backup      BYTEA,
    disabled    BIGINT NOT NULL DEFAULT 0,
    created_ms  BIGINT NOT NULL
);
CREATE TABLE devices (
    device     BYTEA PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES accounts (id),
    label      TEXT NOT NULL,
    added_ms   BIGINT NOT NULL,
    revoked_ms BIGINT
);
CREATE INDEX devices_by_account ON devices (account);
CREATE TABLE invites (
    hash       BYTEA PRIMARY KEY,
    uses       BIGINT NOT NULL,
    used       BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked    BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE chain (
    seq   BIGINT PRIMARY KEY,
    entry BYTEA NOT NULL,
    hash  BYTEA NOT NULL
);
-- Logins that have begun, and devices that may be added: each is taken out once.
CREATE TABLE pending (
    id         BYTEA PRIMARY KEY,
    kind       TEXT NOT NULL,
    account    TEXT NOT NULL,
    data       BYTEA NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX pending_by_end ON pending (expires_ms);
-- Counted here and not in a process, so that replicas count together.
CREATE TABLE attempts (
    bucket BYTEA NOT NULL,
    period BIGINT NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (bucket, period)
);
CREATE TABLE secrets (
    name   TEXT PRIMARY KEY,
    sealed BYTEA NOT NULL
);
CREATE TABLE signing_keys (
    kid        TEXT PRIMARY KEY,
    public     BYTEA NOT NULL,
    sealed     BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    retired_ms BIGINT
);
CREATE TABLE key_sets (
    serial   BIGINT PRIMARY KEY,
    document BYTEA NOT NULL
);
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('chain', 0);
