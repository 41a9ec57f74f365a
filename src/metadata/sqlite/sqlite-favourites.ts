import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RepoName } from '#oci/repo-name';
import type { FavouriteList, Favourites } from '../favourites-contract.ts';
import type { Migration } from './migrations.ts';

/** No way down: it exists nowhere else. */
export const FAVOURITES_MIGRATION: Migration = {
  up: `
    CREATE TABLE favourites (
      origin TEXT NOT NULL,
      username TEXT NOT NULL,
      kind TEXT NOT NULL,
      repo TEXT NOT NULL,
      PRIMARY KEY (origin, username, kind, repo)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX favourites_by_repository ON favourites (repo);
  `,
};

/** Rows written between two turns of the event loop. */
const SLICE_ROWS = 500;

/** Starred and bookmarked repositories in the file of the records. */
export class SqliteFavourites implements Favourites {
  #transaction: (work: () => void) => void;
  #add: StatementSync;
  #list: StatementSync;

  constructor(db: DatabaseSync, transaction: (work: () => void) => void) {
    this.#transaction = transaction;
    this.#add = db.prepare('INSERT OR IGNORE INTO favourites VALUES (?, ?, ?, ?)');
    this.#list = db.prepare(`
      SELECT repo FROM favourites WHERE origin = ? AND username = ? AND kind = ? AND repo > ?
      ORDER BY repo LIMIT ?`);
  }

  async add({ origin, username, kind }: FavouriteList, repos: readonly RepoName[]): Promise<number> {
    let added = 0;
    for (let at = 0; at < repos.length; at += SLICE_ROWS) {
      if (at > 0) await nextTurn();
      this.#transaction(() => {
        for (const repo of repos.slice(at, at + SLICE_ROWS))
          added += Number(this.#add.run(origin, username, kind, repo).changes);
      });
    }
    return added;
  }

  async list(
    { origin, username, kind }: FavouriteList,
    { after, limit }: { readonly after: string; readonly limit: number },
  ): Promise<RepoName[]> {
    return this.#list.all(origin, username, kind, after, limit).map(({ repo }) => repo as RepoName);
  }
}
