-- The first schema. The two folders differ in the names of types alone.
CREATE TABLE accounts (
    id          TEXT PRIMARY KEY,
    -- Lower case: no two people's names differ by that alone.
    name_key    TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    account_key BLOB NOT NULL UNIQUE,
    password    BLOB,
    backup      BLOB,
    disabled    INTEGER NOT NULL DEFAULT 0,
    created_ms  INTEGER NOT NULL
);
CREATE TABLE devices (
    device     BLOB PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES accounts (id),
    label      TEXT NOT NULL,
    added_ms   INTEGER NOT NULL,
    revoked_ms INTEGER
);
CREATE INDEX devices_by_account ON devices (account);
CREATE TABLE invites (
    hash       BLOB PRIMARY KEY,
    uses       INTEGER NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    revoked    INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE chain (
    seq   INTEGER PRIMARY KEY,
    entry BLOB NOT NULL,
    hash  BLOB NOT NULL
);
-- Logins that have begun, and devices that may be added: each is taken out once.
CREATE TABLE pending (
    id         BLOB PRIMARY KEY,
    kind       TEXT NOT NULL,
    account    TEXT NOT NULL,
    data       BLOB NOT NULL,
    expires_ms INTEGER NOT NULL
);
CREATE INDEX pending_by_end ON pending (expires_ms);
-- Counted here and not in a process, so that replicas count together.
CREATE TABLE attempts (
    bucket BLOB NOT NULL,
    period INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (bucket, period)
);
CREATE TABLE secrets (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
);
CREATE TABLE signing_keys (
    kid        TEXT PRIMARY KEY,
    public     BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    retired_ms INTEGER
);
CREATE TABLE key_sets (
    serial   INTEGER PRIMARY KEY,
    document BLOB NOT NULL
);
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);
INSERT INTO counters (name, value) VALUES ('chain', 0);
