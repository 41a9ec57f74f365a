import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '#oci/digest';
import type { ReferenceRole } from '#oci/manifest';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { RepoPrefix } from '#oci/repo-prefix';
import type {
  BlobRow,
  EntryRow,
  HolderRow,
  IndexWriter,
  PageOptions,
  ReferenceRow,
  RepositoryChange,
  RepositorySnapshot,
  RepositoryState,
} from '../index-contract.ts';
import type { DamagePlace, DamageRow } from '../damage-contract.ts';
import type { CandidateRow, TombstoneRow } from '../garbage-contract.ts';
import type { PrefixUsage, QuotaCertainty } from '../quota-contract.ts';
import { ContentRows } from './content-rows.ts';
import { countPrefixes } from './count-prefixes.ts';
import { GarbageRows } from './garbage-rows.ts';
import { inDigestOrder } from './digest-order.ts';
import { SqliteIndexReader } from './index-reader.ts';
import { IndexRows } from './index-rows.ts';
import { SqliteDamage } from './sqlite-damage.ts';

/** Rows written between two turns of the event loop, so that a large repository does not hold others up. */
const SLICE_ROWS = 500;

/** The index's one writer. */
export class SqliteIndexWriter extends SqliteIndexReader implements IndexWriter {
  #rows: IndexRows;
  #garbage: GarbageRows;
  #contents: ContentRows;
  #damaged: SqliteDamage;
  #entriesByTag: StatementSync;
  #entriesByDigest: StatementSync;
  #entriesAfter: StatementSync;
  #references: StatementSync;
  #referencing: StatementSync;
  #known: StatementSync;
  #holders: StatementSync;
  #nth: StatementSync;
  #subject: StatementSync;
  #unread: StatementSync;

  constructor(db: DatabaseSync) {
    super(db);
    this.#rows = new IndexRows(db);
    this.#garbage = new GarbageRows(db);
    this.#contents = new ContentRows(db);
    this.#damaged = new SqliteDamage(db, (work) => this.#rows.transaction(work));
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
      JOIN refs f INDEXED BY refs_by_digest ON f.repo = r.id AND f.digest = ?2
        AND f.role IN (SELECT value FROM json_each(?3))
      WHERE r.name = ?1 LIMIT ?4`);
    this.#known = db.prepare('SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?');
    this.#holders = db.prepare(`SELECT digest, repo FROM blobs INDEXED BY blobs_by_digest
      WHERE (digest, repo) > (?, ?) ORDER BY digest, repo LIMIT ?`);
    this.#nth = db.prepare(
      `SELECT 1 FROM repositories WHERE name > '' AND entry_count > 0 ORDER BY name LIMIT 1 OFFSET ?`,
    );
    this.#subject = db.prepare(`SELECT m.subject FROM repositories r
      JOIN manifests m ON m.repo = r.id AND m.digest = ?2 WHERE r.name = ?1`);
    this.#unread = db.prepare(`SELECT m.digest FROM repositories r
      JOIN manifests m INDEXED BY manifests_unread ON m.repo = r.id AND m.unread = 1 WHERE r.name = ? LIMIT 1`);
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
    let removed = 0;
    for (const position of change.removedPositions) removed += rows.removeEntry(repo, position);
    for (const digest of change.removedManifests) rows.removeManifest(repo, digest);
    for (const manifest of change.addedManifests) rows.addManifest(repo, manifest);
    for (const entry of change.addedEntries) rows.addEntry(repo, entry);
    rows.updateState(repo, change.state);
    for (const candidate of change.candidates) this.#garbage.addCandidate(candidate);
    for (const digest of change.revived) this.#garbage.removeTombstone(change.repo, digest);
    rows.addToCount(repo, change.addedEntries.length - removed);
  }

  inBulk<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#rows.inBulk(work);
  }

  async replaceRepository(snapshot: RepositorySnapshot): Promise<void> {
    const rows = this.#rows;
    const fresh = rows.transaction(() => rows.insertRepository(null, snapshot.state));
    try {
      await this.#fill(fresh, snapshot);
    } catch (error) {
      await this.#removeRows(fresh);
      throw error;
    }
    const old = rows.transaction(() => {
      rows.addToCount(fresh, snapshot.entries.length);
      return rows.takeName(snapshot.repo, fresh);
    });
    if (old !== null) await this.#removeRows(old);
  }

  async #fill(fresh: number, snapshot: RepositorySnapshot): Promise<void> {
    const rows = this.#rows;
    const before = rows.idOf(snapshot.repo);
    if (before !== null) {
      const kept = await inDigestOrder(snapshot.kept, (digest) => digest);
      await this.#inSlices(kept, (digest) => rows.copyManifest(before, fresh, digest));
    }
    const manifests = await inDigestOrder(snapshot.manifests, ({ digest }) => digest);
    await this.#inSlices(manifests, (manifest) => rows.addManifest(fresh, manifest));
    await this.#inSlices(snapshot.entries, (entry) => rows.addEntry(fresh, entry));
    await this.#inSlices(snapshot.blobs, (blob) => rows.addBlob(snapshot.repo, blob));
  }

  async setState(repo: RepoName, state: RepositoryState): Promise<void> {
    const id = this.#rows.idOf(repo);
    if (id !== null) this.#rows.transaction(() => this.#rows.updateState(id, state));
  }

  async removeRepository(repo: RepoName): Promise<void> {
    if (this.#rows.quotas.counts(repo)) await this.#removeCountedBlobs(repo);
    const id = this.#rows.transaction(() => {
      this.#rows.removeBlobsOf(repo);
      return this.#rows.takeName(repo, null);
    });
    if (id !== null) await this.#removeRows(id);
  }

  async renameRepository(repo: RepoName, name: RepoName, state: RepositoryState): Promise<boolean> {
    const ended = this.#rows.transaction(() => {
      const id = this.#rows.idOf(repo);
      if (id === null) return undefined;
      const before = this.#rows.takeName(name, id);
      this.#rows.updateState(id, state);
      this.#garbage.reviveReferenced(name);
      return before;
    });
    if (ended !== undefined && ended !== null) await this.#removeRows(ended);
    return ended !== undefined;
  }

  async #removeCountedBlobs(repo: RepoName): Promise<void> {
    for (;;) {
      const blobs = this.#rows.quotas.blobsOf(repo, { after: '', limit: SLICE_ROWS });
      if (blobs.length === 0) return;
      await this.#inSlices(blobs, ({ digest }) => this.#rows.removeBlob(repo, digest));
      await nextTurn();
    }
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

  async findSubject(repo: RepoName, digest: Digest): Promise<Digest | null> {
    return (this.#subject.get(repo, digest)?.subject as Digest | null | undefined) ?? null;
  }

  async findUnread(repo: RepoName): Promise<Digest | null> {
    return (this.#unread.get(repo)?.digest as Digest | undefined) ?? null;
  }

  async recordBlob(repo: RepoName, blob: BlobRow, nowMs: number): Promise<void> {
    this.#rows.transaction(() => {
      this.#rows.addBlob(repo, blob);
      this.#garbage.removeTombstone(repo, blob.digest);
      this.#garbage.addCandidate({ repo, what: blob.digest, sinceMs: nowMs });
    });
  }

  async hasRepositories(count: number): Promise<boolean> {
    return count <= 0 || this.#nth.get(count - 1) !== undefined;
  }

  async listKnownRepositories(page: PageOptions): Promise<RepoName[]> {
    return this.#known.all(page.after, page.limit).map((row) => row.name as RepoName);
  }

  async listHolders(options: { after: HolderRow; limit: number }): Promise<HolderRow[]> {
    const { after, limit } = options;
    return this.#holders
      .all(after.digest, after.repo, limit)
      .map((row) => ({ digest: row.digest as Digest, repo: row.repo as RepoName }));
  }

  async listContents(repo: RepoName, page: PageOptions): Promise<Digest[]> {
    return this.#contents.list(repo, this.#rows.idOf(repo), page);
  }

  // --- damage ---

  addDamage(rows: readonly DamageRow[]): Promise<void> {
    return this.#damaged.addDamage(rows);
  }

  removeDamage(repo: RepoName, digests: readonly Digest[]): Promise<void> {
    return this.#damaged.removeDamage(repo, digests);
  }

  listDamage(options: { after: DamagePlace | null; limit: number }): Promise<DamageRow[]> {
    return this.#damaged.listDamage(options);
  }

  listDamagedCopies(digest: Digest, options: { after: RepoName | ''; limit: number }): Promise<DamageRow[]> {
    return this.#damaged.listDamagedCopies(digest, options);
  }

  // --- garbage ---

  async addCandidates(candidates: readonly CandidateRow[]): Promise<void> {
    await this.#inSlices(candidates, (candidate) => this.#garbage.addCandidate(candidate));
  }

  async listCandidates(options: {
    beforeMs: number;
    after: CandidateRow | null;
    limit: number;
  }): Promise<CandidateRow[]> {
    return this.#garbage.listCandidates(options);
  }

  async findCandidate(repo: RepoName, what: CandidateRow['what']): Promise<CandidateRow | null> {
    return this.#garbage.findCandidate(repo, what);
  }

  async shiftTimes(byMs: number): Promise<void> {
    this.#rows.transaction(() => this.#garbage.shiftTimes(byMs));
  }

  async clampTimes(nowMs: number): Promise<void> {
    this.#rows.transaction(() => this.#garbage.clampTimes(nowMs));
  }

  async removeCandidates(candidates: readonly CandidateRow[]): Promise<void> {
    await this.#inSlices(candidates, (candidate) => this.#garbage.removeCandidate(candidate));
  }

  async addTombstones(tombstones: readonly TombstoneRow[]): Promise<void> {
    await this.#inSlices(tombstones, (tombstone) => this.#garbage.addTombstone(tombstone));
  }

  async listTombstones(options: {
    beforeMs: number;
    after: TombstoneRow | null;
    limit: number;
  }): Promise<TombstoneRow[]> {
    return this.#garbage.listTombstones(options);
  }

  async findTombstone(repo: RepoName, digest: Digest): Promise<TombstoneRow | null> {
    return this.#garbage.findTombstone(repo, digest);
  }

  async removeTombstones(repo: RepoName, digests: readonly Digest[]): Promise<void> {
    await this.#inSlices(digests, (digest) => this.#garbage.removeTombstone(repo, digest));
  }

  async copyTombstones(repo: RepoName, to: RepoName): Promise<void> {
    for (let after: string | null = ''; after !== null; await nextTurn()) {
      const page: { after: string; limit: number } = { after, limit: SLICE_ROWS };
      after = this.#rows.transaction(() => this.#garbage.copyTombstones(repo, to, page));
    }
  }

  async reviveReferenced(repo: RepoName): Promise<void> {
    this.#rows.transaction(() => this.#garbage.reviveReferenced(repo));
  }

  // --- quotas ---

  setCountedPrefixes(prefixes: readonly RepoPrefix[]): Promise<void> {
    return countPrefixes(this.#rows, prefixes, SLICE_ROWS);
  }

  async listPrefixUsage(): Promise<PrefixUsage[]> {
    return this.#rows.quotas.usage();
  }

  async prefixUsedBytes(prefix: RepoPrefix): Promise<number> {
    return this.#rows.quotas.usedBytes(prefix);
  }

  async isUnderPrefix(prefix: RepoPrefix, digest: Digest): Promise<boolean> {
    return this.#rows.quotas.isUnder(prefix, digest);
  }

  async setCertainty(prefixes: readonly RepoPrefix[], certainty: QuotaCertainty): Promise<void> {
    this.#rows.transaction(() => {
      for (const prefix of prefixes) this.#rows.quotas.setCertainty(prefix, certainty);
    });
    // Only in the journal it may be lost in a power cut, and what was unsure would be trusted.
    this.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  async listBlobs(repo: RepoName, page: { after: Digest | ''; limit: number }): Promise<BlobRow[]> {
    return this.#rows.quotas.blobsOf(repo, page);
  }

  async nextBlobRepository(prefix: RepoPrefix, after: RepoName | ''): Promise<RepoName | null> {
    return this.#rows.quotas.nextRepository(prefix, after);
  }

  /** Writes items in transactions of about `SLICE_ROWS`; one counts as the rows that `write` says, or as one. */
  async #inSlices<Item>(items: readonly Item[], write: (item: Item) => unknown): Promise<void> {
    for (let at = 0; at < items.length;) {
      if (at > 0) await nextTurn();
      at = this.#rows.transaction(() => {
        let next = at;
        for (let rows = 0; next < items.length && rows < SLICE_ROWS; next += 1) {
          const written = write(items[next] as Item);
          rows += typeof written === 'number' ? written : 1;
        }
        return next;
      });
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
