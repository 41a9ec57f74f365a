import type { Migration } from './migrations.ts';

/** The tables of accounts in the records. Lists are JSON; times are milliseconds since the epoch. */
export const ACCOUNTS_MIGRATION: Migration = {
  up: `
    CREATE TABLE api_keys (
      hash TEXT NOT NULL PRIMARY KEY,
      owner TEXT NOT NULL,
      origin TEXT NOT NULL,
      uuid TEXT NOT NULL,
      label TEXT NOT NULL,
      scopes TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      expires_ms INTEGER,
      last_used_ms INTEGER,
      creator_user_agent TEXT NOT NULL,
      generated_by TEXT NOT NULL,
      UNIQUE (owner, uuid)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sessions (
      id_hash TEXT NOT NULL PRIMARY KEY,
      username TEXT NOT NULL,
      origin TEXT NOT NULL,
      provider TEXT NOT NULL,
      sealed_id_token TEXT,
      proof TEXT,
      created_ms INTEGER NOT NULL,
      expires_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_by_expiry ON sessions (expires_ms);
    CREATE INDEX sessions_by_user ON sessions (username, expires_ms);
    CREATE TABLE user_groups (
      origin TEXT NOT NULL,
      username TEXT NOT NULL,
      groups TEXT NOT NULL,
      PRIMARY KEY (origin, username)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE shared_keys (
      name TEXT NOT NULL PRIMARY KEY,
      key BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};
