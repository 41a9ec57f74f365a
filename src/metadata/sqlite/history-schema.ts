import type { Migration } from './migrations.ts';

/** The tables of the history of tags. No way down: it exists nowhere else. */
export const HISTORY_MIGRATION: Migration = {
  up: `
    CREATE TABLE tag_events (
      repo TEXT NOT NULL,
      tag TEXT NOT NULL,
      seq INTEGER NOT NULL,
      kind TEXT NOT NULL,
      digest TEXT NOT NULL,
      previous TEXT,
      media_type TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      at_ms INTEGER NOT NULL,
      done_by TEXT NOT NULL,
      pending INTEGER NOT NULL,
      PRIMARY KEY (repo, tag, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tag_events_pending ON tag_events (repo) WHERE pending = 1;
    CREATE TABLE gone_tags (
      repo TEXT NOT NULL,
      tag TEXT NOT NULL,
      since_ms INTEGER NOT NULL,
      PRIMARY KEY (repo, tag)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX gone_tags_by_time ON gone_tags (since_ms, repo, tag);
    CREATE TABLE holds (
      repo TEXT NOT NULL,
      digest TEXT NOT NULL,
      root TEXT NOT NULL,
      since_ms INTEGER NOT NULL,
      size_bytes INTEGER NOT NULL,
      media_type TEXT,
      PRIMARY KEY (repo, digest, root)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX holds_by_time ON holds (since_ms, repo, digest, root);
    CREATE INDEX holds_by_root ON holds (repo, root, digest);
  `,
};
