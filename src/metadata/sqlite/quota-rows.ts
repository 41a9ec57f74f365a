import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { prefixesOf } from '#oci/repo-prefix';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { BlobRow } from '../index-contract.ts';
import type { PrefixUsage, QuotaCertainty } from '../quota-contract.ts';
import type { Migration } from './migrations.ts';

/** The tables of quotas. A prefix without a name is being forgotten. */
export const QUOTA_MIGRATION: Migration = {
  up: `
    CREATE TABLE quotas (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      prefix TEXT UNIQUE,
      used_bytes INTEGER NOT NULL,
      -- Rows of blobs up to this one are counted; NULL: all of them.
      at_repo TEXT,
      at_digest TEXT,
      certainty TEXT NOT NULL
    ) STRICT;
    CREATE TABLE quota_blobs (
      quota INTEGER NOT NULL,
      digest TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      places INTEGER NOT NULL,
      -- 1 where places have different sizes.
      mixed INTEGER NOT NULL,
      PRIMARY KEY (quota, digest)
    ) STRICT, WITHOUT ROWID;
  `,
  down: `
    DROP TABLE quota_blobs;
    DROP TABLE quotas;
  `,
};

/** Rows under the prefix ?3, which all sort before ?4. */
const UNDER = `repo >= ?3 AND repo < ?4 AND (?3 = '' OR repo = ?3 OR repo > ?3 || '/')`;

const STATEMENTS = {
  quotas: `SELECT id, prefix, at_repo, at_digest FROM quotas WHERE prefix >= ''`,
  usage: `SELECT prefix, used_bytes, certainty FROM quotas WHERE prefix >= '' ORDER BY prefix`,
  usedBytes: 'SELECT used_bytes FROM quotas WHERE prefix = ?',
  add: `INSERT INTO quotas (prefix, used_bytes, at_repo, at_digest, certainty) VALUES (?1, 0, ?1, '', 'new')`,
  dropName: 'UPDATE quotas SET prefix = NULL WHERE prefix = ?',
  dropped: 'SELECT id FROM quotas WHERE prefix IS NULL',
  sliceBlobs: `DELETE FROM quota_blobs WHERE quota = ?1
    AND digest IN (SELECT digest FROM quota_blobs WHERE quota = ?1 LIMIT ?2)`,
  remove: 'DELETE FROM quotas WHERE id = ?',
  setPlace: 'UPDATE quotas SET at_repo = ?, at_digest = ? WHERE id = ?',
  setCertainty: 'UPDATE quotas SET certainty = ? WHERE prefix = ?',
  addBytes: 'UPDATE quotas SET used_bytes = used_bytes + ? WHERE id = ?',
  counted: 'SELECT size_bytes, places, mixed FROM quota_blobs WHERE quota = ? AND digest = ?',
  setCounted: `INSERT OR REPLACE INTO quota_blobs (quota, digest, size_bytes, places, mixed)
    VALUES (?, ?, ?, ?, ?)`,
  removeCounted: 'DELETE FROM quota_blobs WHERE quota = ? AND digest = ?',
  isCounted: `SELECT 1 FROM quotas q JOIN quota_blobs b ON b.quota = q.id AND b.digest = ?2 WHERE q.prefix = ?1`,
  blobsBehind: `SELECT repo, digest, size_bytes FROM blobs
    WHERE (repo, digest) > (?1, ?2) AND ${UNDER} ORDER BY repo, digest LIMIT ?5`,
  placesOf: `SELECT max(size_bytes) AS size_bytes, min(size_bytes) AS least_bytes, count(*) AS places
    FROM blobs INDEXED BY blobs_by_digest WHERE digest = ?1 AND ?2 = ?2 AND ${UNDER}`,
  blobsOf: 'SELECT digest, size_bytes FROM blobs WHERE repo = ? AND digest > ? ORDER BY digest LIMIT ?',
  nextRepository: `SELECT repo FROM blobs WHERE repo > ?1 AND ?2 = ?2 AND ${UNDER} ORDER BY repo LIMIT 1`,
} as const;

/** A prefix that is counted. */
interface Counted {
  readonly id: number;
  readonly prefix: RepoPrefix;
  /** The last row that is counted; `null` when all are. */
  at: { readonly repo: string; readonly digest: string } | null;
}

/** A digest under a prefix. */
interface CountedBlob {
  readonly sizeBytes: number;
  readonly places: number;
  readonly mixed: boolean;
}

const NONE: readonly Counted[] = [];

/**
 * The counts of quotas. Invariant: for each prefix, `quota_blobs` holds what the rows of `blobs` under it say (up to
 * the row that the count has come to), and `used_bytes` is the sum of its sizes. To be called in the transaction that
 * changes `blobs`.
 */
export class QuotaRows {
  #statements: Record<keyof typeof STATEMENTS, StatementSync>;
  #counted = new Map<RepoPrefix, Counted>();

  constructor(db: DatabaseSync) {
    const prepared = Object.entries(STATEMENTS).map(([name, sql]) => [name, db.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared) as Record<keyof typeof STATEMENTS, StatementSync>;
    this.reload();
  }

  /** Reads the prefixes again, after they were changed or a transaction was taken back. */
  reload(): void {
    const rows = this.#statements.quotas.all();
    this.#counted = new Map(
      rows.map((row) => [
        row.prefix as RepoPrefix,
        {
          id: row.id as number,
          prefix: row.prefix as RepoPrefix,
          at: row.at_repo === null ? null : { repo: row.at_repo as string, digest: row.at_digest as string },
        },
      ]),
    );
  }

  get prefixes(): readonly RepoPrefix[] {
    return [...this.#counted.keys()];
  }

  /** Whether changes of a repository's blobs have to be told. */
  counts(repo: RepoName): boolean {
    return this.#counted.size > 0 && this.#over(repo).length > 0;
  }

  #over(repo: RepoName): readonly Counted[] {
    if (this.#counted.size === 0) return NONE;
    return prefixesOf(repo).flatMap((prefix) => this.#counted.get(prefix) ?? []);
  }

  /** A row of `blobs` was written; `beforeBytes` is the size that it had, `null` for a new row. */
  added(repo: RepoName, { digest, sizeBytes }: BlobRow, beforeBytes: number | null): void {
    for (const quota of this.#over(repo)) {
      if (isBehind(quota, repo, digest)) continue;
      if (beforeBytes === null) this.#addPlace(quota, digest, sizeBytes);
      else if (beforeBytes !== sizeBytes) this.#countAgain(quota, digest);
    }
  }

  /** A row of `blobs` was removed. */
  removed(repo: RepoName, { digest }: BlobRow): void {
    for (const quota of this.#over(repo)) {
      if (isBehind(quota, repo, digest)) continue;
      const before = this.#entryOf(quota, digest);
      if (before === null) continue;
      if (before.mixed) this.#countAgain(quota, digest);
      else this.#set(quota, digest, before, { ...before, places: before.places - 1 });
    }
  }

  #addPlace(quota: Counted, digest: Digest, sizeBytes: number): void {
    const before = this.#entryOf(quota, digest);
    const known = before ?? { sizeBytes, places: 0, mixed: false };
    const mixed = known.mixed || known.sizeBytes !== sizeBytes;
    const largest = Math.max(known.sizeBytes, sizeBytes);
    this.#set(quota, digest, before, { sizeBytes: largest, places: known.places + 1, mixed });
  }

  /** Places disagree on the size: one of them is damaged. The largest counts. */
  #countAgain(quota: Counted, digest: Digest): void {
    const row = this.#statements.placesOf.get(digest, '', quota.prefix, endOf(quota.prefix));
    const places = row?.places as number;
    const sizeBytes = (row?.size_bytes as number | null) ?? 0;
    const next = { sizeBytes, places, mixed: row?.least_bytes !== row?.size_bytes };
    this.#set(quota, digest, this.#entryOf(quota, digest), next);
  }

  #entryOf(quota: Counted, digest: Digest): CountedBlob | null {
    const row = this.#statements.counted.get(quota.id, digest);
    if (row === undefined) return null;
    return { sizeBytes: row.size_bytes as number, places: row.places as number, mixed: row.mixed === 1 };
  }

  #set(quota: Counted, digest: Digest, before: CountedBlob | null, next: CountedBlob): void {
    const { sizeBytes, places, mixed } = next;
    const row = [quota.id, digest, sizeBytes, places, mixed ? 1 : 0] as const;
    if (places > 0) this.#statements.setCounted.run(...row);
    else this.#statements.removeCounted.run(quota.id, digest);
    const difference = (places > 0 ? sizeBytes : 0) - (before?.sizeBytes ?? 0);
    if (difference !== 0) this.#statements.addBytes.run(difference, quota.id);
  }

  // --- which prefixes are counted ---

  add(prefix: RepoPrefix): void {
    this.#statements.add.run(prefix);
  }

  drop(prefix: RepoPrefix): void {
    this.#statements.dropName.run(prefix);
  }

  /** Removes some rows of prefixes that are counted no more; gives whether there may be more. */
  removeDropped(rows: number): boolean {
    const id = this.#statements.dropped.get()?.id as number | undefined;
    if (id === undefined) return false;
    if (Number(this.#statements.sliceBlobs.run(id, rows).changes) === 0) this.#statements.remove.run(id);
    return true;
  }

  /** Counts some rows of `blobs` that are not counted yet; gives whether there may be more. */
  countSlice(rows: number): boolean {
    const quota = [...this.#counted.values()].find(({ at }) => at !== null);
    if (quota === undefined || quota.at === null) return false;
    const { repo, digest } = quota.at;
    const found = this.#statements.blobsBehind.all(repo, digest, quota.prefix, endOf(quota.prefix), rows);
    for (const row of found) this.#addPlace(quota, row.digest as Digest, row.size_bytes as number);
    const last = found.at(-1);
    quota.at = last === undefined ? null : { repo: last.repo as string, digest: last.digest as string };
    this.#statements.setPlace.run(quota.at?.repo ?? null, quota.at?.digest ?? null, quota.id);
    return true;
  }

  setCertainty(prefix: RepoPrefix, certainty: QuotaCertainty): void {
    this.#statements.setCertainty.run(certainty, prefix);
  }

  // --- look-ups ---

  usage(): PrefixUsage[] {
    return this.#statements.usage.all().map((row) => ({
      prefix: row.prefix as RepoPrefix,
      usedBytes: row.used_bytes as number,
      certainty: row.certainty as QuotaCertainty,
    }));
  }

  usedBytes(prefix: RepoPrefix): number {
    return (this.#statements.usedBytes.get(prefix)?.used_bytes as number | undefined) ?? 0;
  }

  isUnder(prefix: RepoPrefix, digest: Digest): boolean {
    return this.#statements.isCounted.get(prefix, digest) !== undefined;
  }

  blobsOf(repo: RepoName, page: { after: Digest | ''; limit: number }): BlobRow[] {
    const rows = this.#statements.blobsOf.all(repo, page.after, page.limit);
    return rows.map((row) => ({ digest: row.digest as Digest, sizeBytes: row.size_bytes as number }));
  }

  nextRepository(prefix: RepoPrefix, after: RepoName | ''): RepoName | null {
    return (
      (this.#statements.nextRepository.get(after, '', prefix, endOf(prefix))?.repo as RepoName | undefined) ??
      null
    );
  }
}

/** What sorts behind all names under a prefix: '0' follows '/', and '{' all characters of names. */
function endOf(prefix: RepoPrefix): string {
  return prefix === '' ? '{' : `${prefix}0`;
}

/** Whether the count has not come to a row yet. Names and digests are ASCII, so that texts compare as bytes do. */
function isBehind({ at }: Counted, repo: RepoName, digest: Digest): boolean {
  return at !== null && (repo > at.repo || (repo === at.repo && digest > at.digest));
}
