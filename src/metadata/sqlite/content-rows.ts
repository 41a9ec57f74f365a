import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { PageOptions } from '../index-contract.ts';

/** Everything that a repository holds or needs, by the tables that know of it. */
export class ContentRows {
  #byId: readonly StatementSync[];
  #blobs: StatementSync;

  constructor(db: DatabaseSync) {
    const page = 'digest > ?2 ORDER BY digest LIMIT ?3';
    this.#byId = [
      db.prepare(
        `SELECT DISTINCT digest FROM entries INDEXED BY entries_by_digest WHERE repo = ?1 AND ${page}`,
      ),
      db.prepare(`SELECT digest FROM manifests WHERE repo = ?1 AND ${page}`),
      db.prepare(`SELECT DISTINCT digest FROM refs INDEXED BY refs_by_digest WHERE repo = ?1 AND ${page}`),
    ];
    this.#blobs = db.prepare(`SELECT digest FROM blobs WHERE repo = ?1 AND ${page}`);
  }

  /** Digests in byte order; `id` is that of the repository's rows, if it has any. */
  list(repo: RepoName, id: number | null, { after, limit }: PageOptions): Digest[] {
    const rows = id === null ? [] : this.#byId.flatMap((statement) => statement.all(id, after, limit));
    const all = [...rows, ...this.#blobs.all(repo, after, limit)].map((row) => row.digest as Digest);
    return [...new Set(all)].toSorted((left, right) => (left < right ? -1 : 1)).slice(0, limit);
  }
}
