import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { CandidateRow, TombstoneRow } from '../garbage-contract.ts';
import type { Migration } from './migrations.ts';

/** The tables of garbage, third step of the index's schema. */
export const GARBAGE_MIGRATION: Migration = {
  up: `
    CREATE TABLE candidates (
      repo TEXT NOT NULL,
      what TEXT NOT NULL,
      since_ms INTEGER NOT NULL,
      PRIMARY KEY (repo, what)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX candidates_by_time ON candidates (since_ms, repo, what);
    CREATE TABLE tombstones (
      repo TEXT NOT NULL,
      digest TEXT NOT NULL,
      since_ms INTEGER NOT NULL,
      PRIMARY KEY (repo, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tombstones_by_time ON tombstones (since_ms);
  `,
  down: `
    DROP TABLE tombstones;
    DROP TABLE candidates;
  `,
};

/** Later steps: what a tombstone stands on, and manifests that could not be read. */
export const GARBAGE_DETAIL_MIGRATION: Migration = {
  up: `
    ALTER TABLE tombstones ADD COLUMN modified_ms INTEGER NOT NULL DEFAULT 0;
    DROP INDEX tombstones_by_time;
    CREATE INDEX tombstones_by_time ON tombstones (since_ms, repo, digest, modified_ms);
    ALTER TABLE manifests ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX manifests_unread ON manifests (repo, unread) WHERE unread = 1;
  `,
  down: `
    DROP INDEX manifests_unread;
    ALTER TABLE manifests DROP COLUMN unread;
    DROP INDEX tombstones_by_time;
    CREATE INDEX tombstones_by_time ON tombstones (since_ms);
    ALTER TABLE tombstones DROP COLUMN modified_ms;
  `,
};

/** The statements of garbage, prepared once. */
export class GarbageRows {
  #addCandidate: StatementSync;
  #candidates: StatementSync;
  #candidate: StatementSync;
  #removeCandidate: StatementSync;
  #addTombstone: StatementSync;
  #tombstones: StatementSync;
  #tombstone: StatementSync;
  #removeTombstone: StatementSync;
  #copyTombstones: StatementSync;
  #lastTombstone: StatementSync;
  #clampCandidates: StatementSync;
  #clampTombstones: StatementSync;
  #shiftCandidates: StatementSync;
  #shiftTombstones: StatementSync;
  #reviveReferenced: StatementSync;

  constructor(db: DatabaseSync) {
    this.#addCandidate = db.prepare(`INSERT INTO candidates (repo, what, since_ms) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET since_ms = max(since_ms, excluded.since_ms)`);
    this.#candidate = db.prepare('SELECT repo, what, since_ms FROM candidates WHERE repo = ? AND what = ?');
    this.#candidates = db.prepare(`SELECT repo, what, since_ms FROM candidates
      WHERE since_ms <= ?1 AND (since_ms, repo, what) > (?2, ?3, ?4) ORDER BY since_ms, repo, what LIMIT ?5`);
    this.#removeCandidate = db.prepare('DELETE FROM candidates WHERE repo = ? AND what = ? AND since_ms = ?');
    this.#addTombstone = db.prepare(
      'INSERT OR REPLACE INTO tombstones (repo, digest, since_ms, modified_ms) VALUES (?, ?, ?, ?)',
    );
    this.#tombstones = db.prepare(`SELECT repo, digest, since_ms, modified_ms FROM tombstones
      WHERE since_ms <= ?1 AND (since_ms, repo, digest) > (?2, ?3, ?4) ORDER BY since_ms, repo, digest LIMIT ?5`);
    this.#tombstone = db.prepare(
      'SELECT repo, digest, since_ms, modified_ms FROM tombstones WHERE repo = ? AND digest = ?',
    );
    this.#shiftCandidates = db.prepare('UPDATE candidates SET since_ms = since_ms + ? WHERE since_ms > 0');
    this.#shiftTombstones = db.prepare('UPDATE tombstones SET since_ms = since_ms + ? WHERE since_ms >= 0');
    this.#reviveReferenced = db.prepare(`DELETE FROM tombstones WHERE repo = ?1 AND EXISTS (
      SELECT 1 FROM repositories r WHERE r.name = ?1 AND (
        EXISTS (SELECT 1 FROM refs f INDEXED BY refs_by_digest
          WHERE f.repo = r.id AND f.digest = tombstones.digest)
        OR EXISTS (SELECT 1 FROM manifests m WHERE m.repo = r.id AND m.digest = tombstones.digest)))`);
    this.#clampCandidates = db.prepare('UPDATE candidates SET since_ms = ?1 WHERE since_ms > ?1');
    this.#clampTombstones = db.prepare('UPDATE tombstones SET since_ms = ?1 WHERE since_ms > ?1');
    const some = `SELECT digest FROM tombstones WHERE repo = ?1 AND digest > ?3 ORDER BY digest LIMIT ?4`;
    this.#copyTombstones = db.prepare(`INSERT OR REPLACE INTO tombstones (repo, digest, since_ms, modified_ms)
      SELECT ?2, digest, since_ms, modified_ms FROM tombstones WHERE repo = ?1 AND digest IN (${some})`);
    this.#lastTombstone = db.prepare(
      'SELECT digest FROM tombstones WHERE repo = ?1 AND digest > ?2 ORDER BY digest LIMIT 1 OFFSET ?3',
    );
    this.#removeTombstone = db.prepare('DELETE FROM tombstones WHERE repo = ? AND digest = ?');
  }

  addCandidate(candidate: CandidateRow): void {
    this.#addCandidate.run(candidate.repo, candidate.what, Math.floor(candidate.sinceMs));
  }

  findCandidate(repo: RepoName, what: CandidateRow['what']): CandidateRow | null {
    const row = this.#candidate.get(repo, what);
    return row === undefined ? null : candidateRow(row);
  }

  shiftTimes(byMs: number): void {
    this.#shiftCandidates.run(Math.floor(byMs));
    this.#shiftTombstones.run(Math.floor(byMs));
  }

  reviveReferenced(repo: RepoName): void {
    this.#reviveReferenced.run(repo);
  }

  clampTimes(nowMs: number): void {
    this.#clampCandidates.run(Math.floor(nowMs));
    this.#clampTombstones.run(Math.floor(nowMs));
  }

  listCandidates(options: { beforeMs: number; after: CandidateRow | null; limit: number }): CandidateRow[] {
    const { after } = options;
    const rows = this.#candidates.all(
      Math.floor(options.beforeMs),
      after?.sinceMs ?? -1,
      after?.repo ?? '',
      after?.what ?? '',
      options.limit,
    );
    return rows.map(candidateRow);
  }

  removeCandidate(candidate: CandidateRow): void {
    this.#removeCandidate.run(candidate.repo, candidate.what, candidate.sinceMs);
  }

  addTombstone(tombstone: TombstoneRow): void {
    const { repo, digest, sinceMs, modifiedMs } = tombstone;
    this.#addTombstone.run(repo, digest, Math.floor(sinceMs), Math.floor(modifiedMs));
  }

  listTombstones(options: { beforeMs: number; after: TombstoneRow | null; limit: number }): TombstoneRow[] {
    const { beforeMs, after, limit } = options;
    const position = [after?.sinceMs ?? -1, after?.repo ?? '', after?.digest ?? ''] as const;
    return this.#tombstones.all(Math.floor(beforeMs), ...position, limit).map(tombstoneRow);
  }

  findTombstone(repo: RepoName, digest: Digest): TombstoneRow | null {
    const row = this.#tombstone.get(repo, digest);
    return row === undefined ? null : tombstoneRow(row);
  }

  /** Copies some, behind `after`; gives the last of them, `null` when no more follow. */
  copyTombstones(
    repo: RepoName,
    to: RepoName,
    { after, limit }: { after: string; limit: number },
  ): string | null {
    this.#copyTombstones.run(repo, to, after, limit);
    return (this.#lastTombstone.get(repo, after, limit - 1)?.digest as string | undefined) ?? null;
  }

  removeTombstone(repo: RepoName, digest: Digest): void {
    this.#removeTombstone.run(repo, digest);
  }
}

function tombstoneRow(row: Record<string, unknown>): TombstoneRow {
  return {
    repo: row.repo as RepoName,
    digest: row.digest as Digest,
    sinceMs: row.since_ms as number,
    modifiedMs: row.modified_ms as number,
  };
}

function candidateRow(row: Record<string, unknown>): CandidateRow {
  return {
    repo: row.repo as RepoName,
    what: row.what as CandidateRow['what'],
    sinceMs: row.since_ms as number,
  };
}
