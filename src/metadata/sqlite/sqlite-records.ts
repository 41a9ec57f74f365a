import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { Tag } from '#oci/reference';
import type {
  EarlierRecords,
  ManifestStatistics,
  PullCount,
  PushRecord,
  Records,
} from '../records-contract.ts';
import { ACCOUNTS_MIGRATION } from './accounts-schema.ts';
import { RECORDS_DAMAGE_MIGRATION } from './damage-rows.ts';
import { HISTORY_MIGRATION } from './history-schema.ts';
import type { Migration } from './migrations.ts';
import {
  MOVE_VERSION_MIGRATION,
  REPOSITORY_MOVES_MIGRATION,
  SqliteRepositoryMoves,
} from './repository-moves.ts';
import { SqliteAccounts } from './sqlite-accounts.ts';
import { SqliteDamage } from './sqlite-damage.ts';
import { FAVOURITES_MIGRATION, SqliteFavourites } from './sqlite-favourites.ts';
import { SqliteHistory } from './sqlite-history.ts';
import { Transactions } from './transactions.ts';

/** The records' tables. There is no way down where going back would lose what exists nowhere else. */
export const RECORDS_MIGRATIONS: readonly Migration[] = [
  {
    up: `
      CREATE TABLE manifest_statistics (
        repo TEXT NOT NULL,
        digest TEXT NOT NULL,
        pulls INTEGER NOT NULL,
        last_pull_ms INTEGER,
        first_push_ms INTEGER,
        PRIMARY KEY (repo, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE tag_times (
        repo TEXT NOT NULL,
        tag TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        PRIMARY KEY (repo, tag)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  ACCOUNTS_MIGRATION,
  {
    up: `
      CREATE TABLE origin (began_ms INTEGER NOT NULL) STRICT;
      INSERT INTO origin VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER));
    `,
  },
  RECORDS_DAMAGE_MIGRATION,
  HISTORY_MIGRATION,
  REPOSITORY_MOVES_MIGRATION,
  MOVE_VERSION_MIGRATION,
  FAVOURITES_MIGRATION,
  { up: 'ALTER TABLE manifest_statistics ADD COLUMN pushed_by TEXT' },
];

/** Records in SQLite, written by the keeper alone. */
export class SqliteRecords implements Records {
  readonly accounts: SqliteAccounts;
  readonly damage: SqliteDamage;
  readonly favourites: SqliteFavourites;
  readonly history: SqliteHistory;
  readonly moves: SqliteRepositoryMoves;
  #db: DatabaseSync;
  #transactions: Transactions;
  #addPull: StatementSync;
  #addPush: StatementSync;
  #addTag: StatementSync;
  #statistics: StatementSync;
  #tagSince: StatementSync;
  #forget: StatementSync;
  #began: StatementSync;
  #takeManifest: StatementSync;
  #takeTag: StatementSync;

  /** `fast` is a second connection to the same file, which does not wait for the disk. */
  constructor(db: DatabaseSync, fast: DatabaseSync) {
    this.#db = db;
    this.#transactions = new Transactions(db);
    this.history = new SqliteHistory(fast, db);
    this.accounts = new SqliteAccounts(db);
    this.damage = new SqliteDamage(db, (work) => this.#transaction(work));
    this.favourites = new SqliteFavourites(db, (work) => this.#transaction(work));
    this.moves = new SqliteRepositoryMoves(db, (work) => this.#transaction(work));
    this.#addPull = db.prepare(`
      INSERT INTO manifest_statistics (repo, digest, pulls, last_pull_ms) VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT DO UPDATE SET pulls = pulls + ?3, last_pull_ms = max(coalesce(last_pull_ms, 0), ?4)`);
    this.#addPush = db.prepare(`
      INSERT INTO manifest_statistics (repo, digest, pulls, first_push_ms, pushed_by) VALUES (?1, ?2, 0, ?3, ?5)
      ON CONFLICT DO UPDATE SET first_push_ms = iif(?4, ?3, coalesce(first_push_ms, ?3)),
        pushed_by = iif(?4 OR first_push_ms IS NULL, ?5, pushed_by)`);
    this.#addTag = db.prepare('INSERT OR IGNORE INTO tag_times (repo, tag, since_ms) VALUES (?, ?, ?)');
    this.#statistics = db.prepare(
      'SELECT pulls, last_pull_ms, first_push_ms, pushed_by FROM manifest_statistics WHERE repo = ? AND digest = ?',
    );
    this.#tagSince = db.prepare('SELECT since_ms FROM tag_times WHERE repo = ? AND tag = ?');
    this.#forget = db.prepare('DELETE FROM manifest_statistics WHERE repo = ? AND digest = ?');
    // Of a time that is not known on one side, the other side's holds; who pushed goes with the push that holds.
    this.#takeManifest = db.prepare(`
      INSERT INTO manifest_statistics (repo, digest, pulls, last_pull_ms, first_push_ms, pushed_by)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6)
      ON CONFLICT DO UPDATE SET pulls = max(pulls, ?3),
        last_pull_ms = coalesce(max(last_pull_ms, ?4), last_pull_ms, ?4),
        first_push_ms = coalesce(min(first_push_ms, ?5), first_push_ms, ?5),
        pushed_by = CASE
          WHEN ?5 IS NULL OR ?5 > first_push_ms THEN pushed_by
          WHEN ?5 = first_push_ms THEN coalesce(pushed_by, ?6)
          ELSE ?6 END`);
    this.#takeTag = db.prepare(`
      INSERT INTO tag_times (repo, tag, since_ms) VALUES (?1, ?2, ?3)
      ON CONFLICT DO UPDATE SET since_ms = min(since_ms, ?3)`);
    this.#began = db.prepare('SELECT began_ms FROM origin');
  }

  async addPulls(counts: readonly PullCount[]): Promise<void> {
    this.#transaction(() => {
      for (const { repo, digest, pulls, lastPullMs } of counts)
        this.#addPull.run(repo, digest, pulls, lastPullMs);
    });
  }

  async addPushes(pushes: readonly PushRecord[]): Promise<void> {
    this.#transaction(() => {
      for (const { repo, digest, tags, pushedMs, by, isNew } of pushes) {
        this.#addPush.run(repo, digest, pushedMs, isNew === true ? 1 : 0, by ?? null);
        for (const tag of tags) this.#addTag.run(repo, tag, pushedMs);
      }
    });
  }

  async statistics(repo: RepoName, digest: Digest): Promise<ManifestStatistics> {
    const row = this.#statistics.get(repo, digest);
    return {
      pulls: (row?.pulls as number | undefined) ?? 0,
      lastPullMs: (row?.last_pull_ms as number | null | undefined) ?? null,
      firstPushMs: (row?.first_push_ms as number | null | undefined) ?? null,
      pushedBy: (row?.pushed_by as string | null | undefined) ?? null,
    };
  }

  async tagSinceMs(repo: RepoName, tag: Tag): Promise<number | null> {
    return (this.#tagSince.get(repo, tag)?.since_ms as number | undefined) ?? null;
  }

  async takeOver({ manifests, tags }: EarlierRecords): Promise<void> {
    this.#transaction(() => {
      for (const { repo, digest, pulls, lastPullMs, firstPushMs, pushedBy } of manifests)
        this.#takeManifest.run(repo, digest, pulls, lastPullMs, firstPushMs, pushedBy);
      for (const { repo, tag, sinceMs } of tags) this.#takeTag.run(repo, tag, sinceMs);
    });
  }

  async forget(manifests: readonly { readonly repo: RepoName; readonly digest: Digest }[]): Promise<void> {
    this.#transaction(() => {
      for (const { repo, digest } of manifests) this.#forget.run(repo, digest);
    });
  }

  async beganMs(): Promise<number> {
    return this.#began.get()?.began_ms as number;
  }

  async probe(): Promise<void> {
    this.#tagSince.get('', '');
  }

  async close(): Promise<void> {
    await this.history.close();
    this.#db.close();
  }

  #transaction(work: () => void): void {
    this.#transactions.run(work);
  }
}
