import { INDEX_DAMAGE_MIGRATION } from './damage-rows.ts';
import { GARBAGE_DETAIL_MIGRATION, GARBAGE_MIGRATION } from './garbage-rows.ts';
import type { Migration } from './migrations.ts';
import { QUOTA_MIGRATION } from './quota-rows.ts';

/**
 * The index's tables. A repository's rows hang on its id; a new id is filled beside the old one and takes the
 * name over when complete, so that readers never see half a repository. A row without a name is being filled
 * or emptied. Digests and names are text, compared by bytes.
 */
export const INDEX_MIGRATIONS: readonly Migration[] = [
  {
    up: `
      CREATE TABLE repositories (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT UNIQUE,
        fingerprint TEXT NOT NULL,
        doubtful_until_ms INTEGER NOT NULL,
        head TEXT NOT NULL,
        unreadable TEXT NOT NULL,
        problem TEXT,
        entry_count INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE entries (
        repo INTEGER NOT NULL,
        position INTEGER NOT NULL,
        digest TEXT NOT NULL,
        tag TEXT,
        json TEXT NOT NULL,
        PRIMARY KEY (repo, position)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX entries_by_tag ON entries (repo, tag, position, digest) WHERE tag IS NOT NULL;
      CREATE INDEX entries_by_digest ON entries (repo, digest);
      CREATE TABLE manifests (
        repo INTEGER NOT NULL,
        digest TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        subject TEXT,
        artifact_type TEXT,
        annotations TEXT,
        PRIMARY KEY (repo, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX manifests_by_subject ON manifests (repo, subject, digest) WHERE subject IS NOT NULL;
      CREATE TABLE refs (
        repo INTEGER NOT NULL,
        parent TEXT NOT NULL,
        digest TEXT NOT NULL,
        role TEXT NOT NULL,
        media_type TEXT NOT NULL,
        PRIMARY KEY (repo, parent, digest, role)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX refs_by_digest ON refs (repo, digest, role, parent);
      -- Blobs hang on the name, since they may be there before the repository is.
      CREATE TABLE blobs (
        repo TEXT NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        PRIMARY KEY (repo, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX blobs_by_digest ON blobs (digest, repo);
    `,
    down: `
      DROP TABLE blobs;
      DROP TABLE refs;
      DROP TABLE manifests;
      DROP TABLE entries;
      DROP TABLE repositories;
    `,
  },
  {
    // The catalog pages through non-empty repositories only.
    up: `CREATE INDEX repositories_listed ON repositories (name) WHERE entry_count > 0;`,
    down: `DROP INDEX repositories_listed;`,
  },
  GARBAGE_MIGRATION,
  GARBAGE_DETAIL_MIGRATION,
  INDEX_DAMAGE_MIGRATION,
  QUOTA_MIGRATION,
];
