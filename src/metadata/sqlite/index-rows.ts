import type { DatabaseSync, StatementResultingChanges, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { BlobRow, EntryRow, NewManifest, RepositoryState } from '../index-contract.ts';
import { QuotaRows } from './quota-rows.ts';
import { Transactions } from './transactions.ts';

type StatementName = keyof typeof STATEMENTS;

const STATEMENTS = {
  idOf: 'SELECT id FROM repositories WHERE name = ?',
  insertRepository: `INSERT INTO repositories
    (name, fingerprint, doubtful_until_ms, head, unreadable, problem, entry_count) VALUES (?, ?, ?, ?, ?, ?, 0)`,
  updateState: `UPDATE repositories
    SET fingerprint = ?, doubtful_until_ms = ?, head = ?, unreadable = ?, problem = ? WHERE id = ?`,
  addToCount: 'UPDATE repositories SET entry_count = entry_count + ? WHERE id = ?',
  dropName: 'UPDATE repositories SET name = NULL, entry_count = 0 WHERE id = ?',
  setName: 'UPDATE repositories SET name = ? WHERE id = ?',
  unnamed: 'SELECT id FROM repositories WHERE name IS NULL',
  removeRepository: 'DELETE FROM repositories WHERE id = ?',
  addEntry: 'INSERT INTO entries (repo, position, digest, tag, json) VALUES (?, ?, ?, ?, ?)',
  removeEntry: 'DELETE FROM entries WHERE repo = ? AND position = ?',
  addManifest: `INSERT OR REPLACE INTO manifests
    (repo, digest, media_type, size_bytes, subject, artifact_type, annotations, unread)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  removeManifest: 'DELETE FROM manifests WHERE repo = ? AND digest = ?',
  addReference: 'INSERT OR IGNORE INTO refs (repo, parent, digest, role, media_type) VALUES (?, ?, ?, ?, ?)',
  removeReferences: 'DELETE FROM refs WHERE repo = ? AND parent = ?',
  copyManifest: `INSERT OR REPLACE INTO manifests
    (repo, digest, media_type, size_bytes, subject, artifact_type, annotations, unread)
    SELECT ?2, digest, media_type, size_bytes, subject, artifact_type, annotations, unread
    FROM manifests WHERE repo = ?1 AND digest = ?3`,
  copyReferences: `INSERT OR IGNORE INTO refs SELECT ?2, parent, digest, role, media_type
    FROM refs WHERE repo = ?1 AND parent = ?3`,
  addBlob: 'INSERT OR REPLACE INTO blobs (repo, digest, size_bytes) VALUES (?, ?, ?)',
  blobSize: 'SELECT size_bytes FROM blobs WHERE repo = ? AND digest = ?',
  removeBlob: 'DELETE FROM blobs WHERE repo = ? AND digest = ?',
  removeBlobsOf: 'DELETE FROM blobs WHERE repo = ?',
  sliceEntries: `DELETE FROM entries WHERE repo = ?1
    AND position IN (SELECT position FROM entries WHERE repo = ?1 ORDER BY position LIMIT ?2)`,
  sliceManifests: `DELETE FROM manifests WHERE repo = ?1
    AND digest IN (SELECT digest FROM manifests WHERE repo = ?1 LIMIT ?2)`,
  sliceReferences: `DELETE FROM refs WHERE repo = ?1
    AND (parent, digest, role) IN (SELECT parent, digest, role FROM refs WHERE repo = ?1 LIMIT ?2)`,
} as const;

/** The writing statements of the index, prepared once and named. Ids are those of `repositories`. */
export class IndexRows {
  /** To be told of each change of `blobs`. */
  readonly quotas: QuotaRows;
  #transactions: Transactions;
  #statements: Record<StatementName, StatementSync>;

  constructor(db: DatabaseSync) {
    this.#transactions = new Transactions(db);
    this.quotas = new QuotaRows(db);
    const prepared = Object.entries(STATEMENTS).map(([name, sql]) => [name, db.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared) as Record<StatementName, StatementSync>;
  }

  /** Runs `work`, which must not wait for anything, in one transaction. */
  transaction<Result>(work: () => Result): Result {
    return this.#transactions.run(work);
  }

  /** As `Transactions.inBulk`. */
  inBulk<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#transactions.inBulk(work);
  }

  idOf(repo: RepoName): number | null {
    return (this.#statements.idOf.get(repo)?.id as number | undefined) ?? null;
  }

  insertRepository(name: RepoName | null, state: RepositoryState): number {
    return Number(this.#statements.insertRepository.run(name, ...stateValues(state)).lastInsertRowid);
  }

  updateState(id: number, state: RepositoryState): void {
    this.#statements.updateState.run(...stateValues(state), id);
  }

  addToCount(id: number, difference: number): void {
    if (difference !== 0) this.#statements.addToCount.run(difference, id);
  }

  /** Gives the name to another id, or to none, and gives the id that had it. */
  takeName(name: RepoName, id: number | null): number | null {
    const old = this.idOf(name);
    if (old !== null) this.#statements.dropName.run(old);
    if (id !== null) this.#statements.setName.run(name, id);
    return old;
  }

  // The methods below give the number of rows that they wrote or removed.

  addEntry(id: number, entry: EntryRow): number {
    return changes(this.#statements.addEntry.run(id, entry.position, entry.digest, entry.tag, entry.json));
  }

  removeEntry(id: number, position: number): number {
    return changes(this.#statements.removeEntry.run(id, position));
  }

  /** Adds a manifest, in place of one that was read in another way. */
  addManifest(id: number, manifest: NewManifest): number {
    const { digest, mediaType, sizeBytes, projection } = manifest;
    const annotations = projection?.annotations == null ? null : JSON.stringify(projection.annotations);
    const subject = projection?.subject ?? null;
    const artifactType = projection?.artifactType ?? null;
    const row = [id, digest, mediaType, sizeBytes, subject, artifactType, annotations] as const;
    this.#statements.addManifest.run(...row, projection === null ? 1 : 0);
    return 1 + this.#addReferences(id, manifest);
  }

  #addReferences(id: number, { digest, projection }: NewManifest): number {
    this.#statements.removeReferences.run(id, digest);
    for (const reference of projection?.references ?? []) {
      this.#statements.addReference.run(id, digest, reference.digest, reference.role, reference.mediaType);
    }
    return projection?.references.length ?? 0;
  }

  removeManifest(id: number, digest: Digest): number {
    const removed = changes(this.#statements.removeManifest.run(id, digest));
    return removed + changes(this.#statements.removeReferences.run(id, digest));
  }

  /** Copies a manifest with what it refers to from one id to another. */
  copyManifest(from: number, to: number, digest: Digest): number {
    const copied = changes(this.#statements.copyManifest.run(from, to, digest));
    return copied + changes(this.#statements.copyReferences.run(from, to, digest));
  }

  addBlob(repo: RepoName, blob: BlobRow): number {
    const counts = this.quotas.counts(repo);
    const beforeBytes = counts ? this.#blobSize(repo, blob.digest) : null;
    const added = changes(this.#statements.addBlob.run(repo, blob.digest, blob.sizeBytes));
    if (counts) this.quotas.added(repo, blob, beforeBytes);
    return added;
  }

  removeBlob(repo: RepoName, digest: Digest): number {
    const sizeBytes = this.quotas.counts(repo) ? this.#blobSize(repo, digest) : null;
    const removed = changes(this.#statements.removeBlob.run(repo, digest));
    if (sizeBytes !== null) this.quotas.removed(repo, { digest, sizeBytes });
    return removed;
  }

  #blobSize(repo: RepoName, digest: Digest): number | null {
    return (this.#statements.blobSize.get(repo, digest)?.size_bytes as number | undefined) ?? null;
  }

  /** Removes the blobs of a repository that nothing counts. */
  removeBlobsOf(repo: RepoName): number {
    return changes(this.#statements.removeBlobsOf.run(repo));
  }

  /** Removes some rows of an id without a name, the id itself at last; gives whether there may be more. */
  removeSlice(id: number, rows: number): boolean {
    const statements = this.#statements;
    for (const slice of [statements.sliceEntries, statements.sliceManifests, statements.sliceReferences]) {
      if (changes(slice.run(id, rows)) > 0) return true;
    }
    statements.removeRepository.run(id);
    return false;
  }

  /** Removes what a crash left half filled or half emptied. */
  removeUnnamed(): void {
    for (const row of this.#statements.unnamed.all()) {
      while (this.transaction(() => this.removeSlice(row.id as number, 5000)));
    }
  }
}

function changes(result: StatementResultingChanges): number {
  return Number(result.changes);
}

function stateValues(state: RepositoryState): [string, number, string, string, string | null] {
  return [
    state.fingerprint,
    state.doubtfulUntilMs,
    state.head,
    JSON.stringify(state.unreadable),
    state.problem,
  ];
}
