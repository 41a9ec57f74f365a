import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { DamageKind, DamagePlace, DamageRow } from '../damage-contract.ts';
import type { Migration } from './migrations.ts';

const TABLE = `
  CREATE TABLE damage (
    repo TEXT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    detail TEXT NOT NULL,
    found_ms INTEGER NOT NULL,
    PRIMARY KEY (repo, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX damage_by_digest ON damage (digest, repo);
`;

/** The table of damage, which is the same in the index and in the records. */
export const INDEX_DAMAGE_MIGRATION: Migration = { up: TABLE, down: 'DROP TABLE damage;' };

/** In the records there is no way down, since damage would be served as good after it. */
export const RECORDS_DAMAGE_MIGRATION: Migration = { up: TABLE };

const COLUMNS = 'repo, digest, kind, version, detail, found_ms';

/** The statements of damage, prepared once. */
export class DamageRows {
  #add: StatementSync;
  #remove: StatementSync;
  #find: StatementSync;
  #list: StatementSync;
  #copies: StatementSync;

  constructor(db: DatabaseSync) {
    this.#add = db.prepare(`INSERT OR REPLACE INTO damage (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)`);
    this.#remove = db.prepare('DELETE FROM damage WHERE repo = ? AND digest = ?');
    this.#find = db.prepare(`SELECT ${COLUMNS} FROM damage WHERE repo = ? AND digest = ?`);
    this.#list = db.prepare(
      `SELECT ${COLUMNS} FROM damage WHERE (repo, digest) > (?, ?) ORDER BY repo, digest LIMIT ?`,
    );
    this.#copies = db.prepare(`SELECT ${COLUMNS} FROM damage INDEXED BY damage_by_digest
      WHERE digest = ? AND repo > ? ORDER BY repo LIMIT ?`);
  }

  add(row: DamageRow): void {
    this.#add.run(row.repo, row.digest, row.kind, row.version, row.detail, Math.floor(row.foundMs));
  }

  remove(repo: RepoName, digest: Digest): void {
    this.#remove.run(repo, digest);
  }

  find(repo: RepoName, digest: Digest): DamageRow | null {
    const row = this.#find.get(repo, digest);
    return row === undefined ? null : damageRow(row);
  }

  list({ after, limit }: { after: DamagePlace | null; limit: number }): DamageRow[] {
    return this.#list.all(after?.repo ?? '', after?.digest ?? '', limit).map(damageRow);
  }

  copies(digest: Digest, { after, limit }: { after: RepoName | ''; limit: number }): DamageRow[] {
    return this.#copies.all(digest, after, limit).map(damageRow);
  }
}

function damageRow(row: Record<string, unknown>): DamageRow {
  return {
    repo: row.repo as RepoName,
    digest: row.digest as Digest,
    kind: row.kind as DamageKind,
    version: row.version as string,
    detail: row.detail as string,
    foundMs: row.found_ms as number,
  };
}
