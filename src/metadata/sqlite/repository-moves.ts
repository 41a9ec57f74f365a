import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RepoName } from '#oci/repo-name';
import type { RepositoryMove, RepositoryMoves } from '../repository-changes-contract.ts';
import type { Migration } from './migrations.ts';

export const REPOSITORY_MOVES_MIGRATION: Migration = {
  up: `
    CREATE TABLE repository_moves (
      repo TEXT PRIMARY KEY,
      target TEXT
    ) STRICT, WITHOUT ROWID;
  `,
};

/** A later step: which index.json a move is about. */
export const MOVE_VERSION_MIGRATION: Migration = {
  up: `ALTER TABLE repository_moves ADD COLUMN version TEXT NOT NULL DEFAULT ''`,
};

/** Rows changed between two turns of the event loop. */
const SLICE_ROWS = 500;

/** Tables that hang on the name of a repository, with the rest of their keys. */
const TABLES = [
  { table: 'manifest_statistics', key: 'digest' },
  { table: 'tag_times', key: 'tag' },
  { table: 'favourites', key: 'origin, username, kind' },
] as const;

/** The moves of whole repositories in SQLite. */
export class SqliteRepositoryMoves implements RepositoryMoves {
  #transaction: (work: () => unknown) => unknown;
  #begin: StatementSync;
  #list: StatementSync;
  #end: StatementSync;
  #move: readonly StatementSync[];
  #forget: readonly StatementSync[];

  constructor(db: DatabaseSync, transaction: (work: () => void) => void) {
    this.#transaction = transaction;
    this.#begin = db.prepare(
      'INSERT OR REPLACE INTO repository_moves (repo, target, version) VALUES (?, ?, ?)',
    );
    this.#list = db.prepare('SELECT repo, target, version FROM repository_moves ORDER BY repo');
    this.#end = db.prepare('DELETE FROM repository_moves WHERE repo = ?');
    const some = (table: string, key: string): string =>
      `repo = ?1 AND (${key}) IN (SELECT ${key} FROM ${table} WHERE repo = ?1 LIMIT ${SLICE_ROWS})`;
    this.#move = TABLES.map(({ table, key }) =>
      db.prepare(`UPDATE OR REPLACE ${table} SET repo = ?2 WHERE ${some(table, key)}`),
    );
    this.#forget = TABLES.map(({ table, key }) =>
      db.prepare(`DELETE FROM ${table} WHERE ${some(table, key)}`),
    );
  }

  async begin({ repo, target, version }: RepositoryMove): Promise<void> {
    if (target !== null) await this.forgetRecords(target);
    this.#transaction(() => this.#begin.run(repo, target, version));
  }

  async list(): Promise<RepositoryMove[]> {
    return this.#list.all().map((row) => ({
      repo: row.repo as RepoName,
      target: row.target as RepoName | null,
      version: row.version as string,
    }));
  }

  async moveRecords(repo: RepoName, target: RepoName): Promise<void> {
    await this.#inSlices(this.#move, (statement) => statement.run(repo, target));
  }

  async forgetRecords(repo: RepoName): Promise<void> {
    await this.#inSlices(this.#forget, (statement) => statement.run(repo));
  }

  async end(repo: RepoName): Promise<void> {
    this.#transaction(() => this.#end.run(repo));
  }

  async #inSlices(
    statements: readonly StatementSync[],
    run: (statement: StatementSync) => { readonly changes: number | bigint },
  ): Promise<void> {
    for (const statement of statements) {
      for (let changed = SLICE_ROWS; changed >= SLICE_ROWS; await nextTurn())
        this.#transaction(() => {
          changed = Number(run(statement).changes);
        });
    }
  }
}
