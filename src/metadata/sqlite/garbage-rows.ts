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

/** The statements of garbage, prepared once. */
export class GarbageRows {
  #addCandidate: StatementSync;
  #candidates: StatementSync;
  #removeCandidate: StatementSync;
  #addTombstone: StatementSync;
  #tombstones: StatementSync;
  #tombstone: StatementSync;
  #removeTombstone: StatementSync;
  #clampCandidates: StatementSync;
  #clampTombstones: StatementSync;

  constructor(db: DatabaseSync) {
    this.#addCandidate = db.prepare(
      'INSERT OR REPLACE INTO candidates (repo, what, since_ms) VALUES (?, ?, ?)',
    );
    this.#candidates = db.prepare(`SELECT repo, what, since_ms FROM candidates
      WHERE since_ms <= ?1 AND (since_ms, repo, what) > (?2, ?3, ?4) ORDER BY since_ms, repo, what LIMIT ?5`);
    this.#removeCandidate = db.prepare('DELETE FROM candidates WHERE repo = ? AND what = ? AND since_ms = ?');
    this.#addTombstone = db.prepare(
      'INSERT OR REPLACE INTO tombstones (repo, digest, since_ms) VALUES (?, ?, ?)',
    );
    this.#tombstones = db.prepare(
      'SELECT repo, digest, since_ms FROM tombstones WHERE since_ms <= ? ORDER BY since_ms LIMIT ?',
    );
    this.#tombstone = db.prepare(
      'SELECT repo, digest, since_ms FROM tombstones WHERE repo = ? AND digest = ?',
    );
    this.#clampCandidates = db.prepare('UPDATE candidates SET since_ms = ?1 WHERE since_ms > ?1');
    this.#clampTombstones = db.prepare('UPDATE tombstones SET since_ms = ?1 WHERE since_ms > ?1');
    this.#removeTombstone = db.prepare('DELETE FROM tombstones WHERE repo = ? AND digest = ?');
  }

  addCandidate(candidate: CandidateRow): void {
    this.#addCandidate.run(candidate.repo, candidate.what, Math.floor(candidate.sinceMs));
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
    return rows.map((row) => ({
      repo: row.repo as RepoName,
      what: row.what as CandidateRow['what'],
      sinceMs: row.since_ms as number,
    }));
  }

  removeCandidate(candidate: CandidateRow): void {
    this.#removeCandidate.run(candidate.repo, candidate.what, candidate.sinceMs);
  }

  addTombstone(tombstone: TombstoneRow): void {
    this.#addTombstone.run(tombstone.repo, tombstone.digest, Math.floor(tombstone.sinceMs));
  }

  listTombstones(beforeMs: number, limit: number): TombstoneRow[] {
    return this.#tombstones.all(Math.floor(beforeMs), limit).map(tombstoneRow);
  }

  findTombstone(repo: RepoName, digest: Digest): TombstoneRow | null {
    const row = this.#tombstone.get(repo, digest);
    return row === undefined ? null : tombstoneRow(row);
  }

  removeTombstone(repo: RepoName, digest: Digest): void {
    this.#removeTombstone.run(repo, digest);
  }
}

function tombstoneRow(row: Record<string, unknown>): TombstoneRow {
  return { repo: row.repo as RepoName, digest: row.digest as Digest, sinceMs: row.since_ms as number };
}
