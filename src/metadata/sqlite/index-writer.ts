import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '#oci/digest';
import type { ReferenceRole } from '#oci/manifest';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type {
  BlobRow,
  EntryRow,
  IndexWriter,

  PageOptions,
  ReferenceRow,
  RepositoryChange,
  RepositorySnapshot,
  RepositoryState,
} from '../index-contract.ts';
import { SqliteIndexReader } from './index-reader.ts';
import { IndexRows } from './index-rows.ts';

/** Rows written between two turns of the event loop, so that a large repository does not hold others up. */
const SLICE_ROWS = 500;

/** The index's one writer. */
export class SqliteIndexWriter extends SqliteIndexReader implements IndexWriter {
  #rows: IndexRows;
  #entriesByTag: StatementSync;
  #entriesByDigest: StatementSync;
  #entriesAfter: StatementSync;
  #references: StatementSync;
  #referencing: StatementSync;
  #known: StatementSync;

  constructor(db: DatabaseSync) {
    super(db);
    this.#rows = new IndexRows(db);
    const entries = `SELECT e.position, e.digest, e.tag, e.json FROM repositories r JOIN entries e`;
    this.#entriesByTag = db.prepare(`${entries} INDEXED BY entries_by_tag
      ON e.repo = r.id AND e.tag = ?2 WHERE r.name = ?1 ORDER BY e.position`);
    this.#entriesByDigest = db.prepare(`${entries} INDEXED BY entries_by_digest
      ON e.repo = r.id AND e.digest = ?2 WHERE r.name = ?1 ORDER BY e.position`);
    this.#entriesAfter = db.prepare(`${entries}
      ON e.repo = r.id AND e.position > ?2 WHERE r.name = ?1 ORDER BY e.position LIMIT ?3`);
    this.#references = db.prepare(`SELECT f.digest, f.role, f.media_type FROM repositories r
      JOIN refs f ON f.repo = r.id AND f.parent = ?2 WHERE r.name = ?1`);
    this.#referencing = db.prepare(`SELECT DISTINCT f.parent FROM repositories r
      JOIN refs f INDEXED BY refs_by_digest ON f.repo = r.id AND f.digest = ?2 AND f.role IN (SELECT value FROM json_each(?3))
      WHERE r.name = ?1 LIMIT ?4`);
    this.#known = db.prepare('SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?');
    this.#rows.removeUnnamed();
  }

  async applyChanges(changes: readonly RepositoryChange[]): Promise<void> {
    this.#rows.transaction(() => {
      for (const change of changes) this.#applyChange(change);
    });
  }

  #applyChange(change: RepositoryChange): void {
    const rows = this.#rows;
    const repo = rows.idOf(change.repo) ?? rows.insertRepository(change.repo, change.state);
    for (const position of change.removedPositions) rows.removeEntry(repo, position);
    for (const digest of change.removedManifests) rows.removeManifest(repo, digest);
    for (const manifest of change.addedManifests) rows.addManifest(repo, manifest);
    for (const entry of change.addedEntries) rows.addEntry(repo, entry);
    rows.updateState(repo, change.state);
    rows.addToCount(repo, change.addedEntries.length - change.removedPositions.length);
  }

  async replaceRepository(snapshot: RepositorySnapshot): Promise<void> {
    const rows = this.#rows;
    const fresh = rows.transaction(() => rows.insertRepository(null, snapshot.state));
    const before = rows.idOf(snapshot.repo);
    if (before !== null) await this.#inSlices(snapshot.kept, (digest) => rows.copyManifest(before, fresh, digest));
    await this.#inSlices(snapshot.manifests, (manifest) => rows.addManifest(fresh, manifest));
    await this.#inSlices(snapshot.entries, (entry) => rows.addEntry(fresh, entry));
    await this.#inSlices(snapshot.blobs, (blob) => rows.addBlob(snapshot.repo, blob));
    const old = rows.transaction(() => {
      rows.addToCount(fresh, snapshot.entries.length);
      return rows.takeName(snapshot.repo, fresh);
    });
    if (old !== null) await this.#removeRows(old);
  }

  async setState(repo: RepoName, state: RepositoryState): Promise<void> {
    const id = this.#rows.idOf(repo);
    if (id !== null) this.#rows.transaction(() => this.#rows.updateState(id, state));
  }

  async removeRepository(repo: RepoName): Promise<void> {
    const id = this.#rows.transaction(() => {
      this.#rows.removeBlobsOf(repo);
      return this.#rows.takeName(repo, null);
    });
    if (id !== null) await this.#removeRows(id);
  }

  async addBlobs(repo: RepoName, blobs: readonly BlobRow[]): Promise<void> {
    await this.#inSlices(blobs, (blob) => this.#rows.addBlob(repo, blob));
  }

  async removeBlobs(repo: RepoName, digests: readonly Digest[]): Promise<void> {
    await this.#inSlices(digests, (digest) => this.#rows.removeBlob(repo, digest));
  }

  async findEntries(repo: RepoName, reference: Reference): Promise<EntryRow[]> {
    const rows =
      reference.kind === 'tag'
        ? this.#entriesByTag.all(repo, reference.tag)
        : this.#entriesByDigest.all(repo, reference.digest);
    return rows.map(entryRow);
  }

  async listEntries(repo: RepoName, page: { afterPosition: number; limit: number }): Promise<EntryRow[]> {
    return this.#entriesAfter.all(repo, page.afterPosition, page.limit).map(entryRow);
  }

  async listReferences(repo: RepoName, digest: Digest): Promise<ReferenceRow[]> {
    const rows = this.#references.all(repo, digest);
    return rows.map((row) => ({
      digest: row.digest as Digest,
      role: row.role as ReferenceRole,
      mediaType: row.media_type as string,
    }));
  }

  async listReferencing(
    repo: RepoName,
    digest: Digest,
    options: { roles: readonly ReferenceRole[]; limit: number },
  ): Promise<Digest[]> {
    const rows = this.#referencing.all(repo, digest, JSON.stringify(options.roles), options.limit);
    return rows.map((row) => row.parent as Digest);
  }

  async listKnownRepositories(page: PageOptions): Promise<RepoName[]> {
    return this.#known.all(page.after, page.limit).map((row) => row.name as RepoName);
  }

  async #inSlices<Item>(items: readonly Item[], write: (item: Item) => void): Promise<void> {
    for (let at = 0; at < items.length; at += SLICE_ROWS) {
      if (at > 0) await nextTurn();
      this.#rows.transaction(() => items.slice(at, at + SLICE_ROWS).forEach(write));
    }
  }

  async #removeRows(id: number): Promise<void> {
    while (this.#rows.transaction(() => this.#rows.removeSlice(id, SLICE_ROWS))) await nextTurn();
  }
}

function entryRow(row: Record<string, unknown>): EntryRow {
  return {
    position: row.position as number,
    digest: row.digest as Digest,
    tag: row.tag as Tag | null,
    json: row.json as string,
  };
}

