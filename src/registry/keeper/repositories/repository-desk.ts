/**
 * Renames and removes whole repositories.
 *
 * Order of steps of a rename, while the gates of both names are closed: noted in the records -> uploads of the old name
 * ended -> every blob linked under the new name -> index.json moved, which on the store ends one name and begins the
 * other -> the name changed in the index, which does the same for readers -> counts, times, history taken over -> note
 * removed. What the old name leaves are blobs that nothing needs: garbage like any other, so that pulls under way find
 * their blobs to the end.
 * Order of steps of a removal: noted -> index.json removed -> the index forgets it -> uploads and blobs removed ->
 * counts and times forgotten -> note removed. Where it can be undone, tags and manifests are deleted first, as usual.
 * Each step may be done again; what a process that died left half done is carried on before anything is served.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WHOLE_REPOSITORY } from '#metadata';
import type {
  BlobRow,
  DamagePlace,
  DamageRow,
  IndexWriter,
  RepositoryMove,
  RepositoryMoves,
} from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { Storage } from '#storage';
import type { Changes } from '../changes.ts';
import { unknownContent } from '../plans/plan-collect.ts';
import type { DamageDesk } from '../damage/damage-desk.ts';
import type { RepositoryOutcome, UploadRef } from '../keeper-contract.ts';
import type { QuotaDesk } from '../quotas/quota-desk.ts';
import type { TagDesk } from '../tags/tag-desk.ts';
import type { TagHistory } from '../tags/tag-history.ts';

export interface RepositoryDeskParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly moves: RepositoryMoves;
  readonly changes: Changes;
  readonly damage: DamageDesk;
  readonly tags: TagDesk;
  readonly tagHistory: TagHistory;
  readonly quotas: QuotaDesk;
  readonly nowMs: () => number;
  /** Ends an upload, whoever writes to it. */
  readonly endUpload: (upload: UploadRef) => Promise<unknown>;
  /** Writes down the counts that are gathered so far. */
  readonly flushCounts: () => Promise<void>;
  readonly report: (repo: string, digest: string | null, problem: string) => void;
}

const PAGE = 500;
const AT_ONCE = 16;

export class RepositoryDesk {
  #parts: RepositoryDeskParts;

  constructor(parts: RepositoryDeskParts) {
    this.#parts = parts;
  }

  /** Removes a repository with all that is in it: see `Keeper.removeRepository`. */
  remove(repo: RepoName, by: string): Promise<RepositoryOutcome> {
    const { changes, moves } = this.#parts;
    return changes.whileClosed([repo], async () => {
      await changes.change(repo, { kind: 'refresh' });
      await this.#requireRepository(repo);
      await this.#requireMutable(repo);
      return changes.freeingRoom(async () => {
        const move = { repo, target: null, version: await this.#versionOf(repo) };
        await moves.begin(move);
        return this.#wholly(move, () => this.#remove(repo, by));
      });
    });
  }

  /**
   * Gives a repository another name. Throws `NAME_UNKNOWN`, and `DENIED` where the target exists (409), where it lies
   * in another store (400), or where a quota has no room for it.
   */
  rename(repo: RepoName, target: RepoName): Promise<RepositoryOutcome> {
    const { changes, moves, quotas, tags } = this.#parts;
    this.#requireOneStore(repo, target);
    return changes.whileClosed([repo, target], async () => {
      for (const name of [repo, target]) await changes.change(name, { kind: 'refresh' });
      await this.#requireRepository(repo);
      await this.#requireMutable(repo);
      await this.#requireFree(target);
      return quotas.whileMoving(target, this.#sizedBlobs(repo), async () => {
        await tags.forgetEvents(target);
        const move = { repo, target, version: await this.#versionOf(repo) };
        await moves.begin(move);
        return this.#wholly(move, () => this.#rename(repo, target));
      });
    });
  }

  /** Carries on what a process that died left half done; to be called before anything is served. */
  async resume(): Promise<readonly RepositoryMove[]> {
    const { moves, changes } = this.#parts;
    const carriedOn: RepositoryMove[] = [];
    for (const move of await moves.list()) {
      const { repo, target, version } = move;
      const now = await this.#versionOf(repo);
      // Of records that were put back, or of another tool since: what is there now was never meant.
      if (now !== '' && now !== version) {
        await moves.end(repo);
        continue;
      }
      carriedOn.push(move);
      if (target === null) await changes.whileClosed([repo], () => this.#remove(repo, ''));
      else await changes.whileClosed([repo, target], () => this.#rename(repo, target));
    }
    return carriedOn;
  }

  // --- removal ---

  /** Where removals can be undone, what can be is held; the repository itself stays, empty, until that is over. */
  async #remove(repo: RepoName, by: string): Promise<RepositoryOutcome> {
    if (!(await this.#parts.tagHistory.mayHold(repo))) return this.#removeAtOnce(repo);
    const { storage, index, changes, moves } = this.#parts;
    const page = { afterPosition: -1, limit: 1 };
    while ((await index.listEntries(repo, page)).length > 0) {
      await changes.change(repo, { kind: 'clear', by });
      await moves.begin({ repo, target: null, version: await this.#versionOf(repo) });
    }
    const uploads = await this.#endUploads(repo);
    const blobs = await this.#deleteBlobs(repo);
    if (await storage.repository(repo).holdsNothing()) return this.#removeAtOnce(repo, { blobs, uploads });
    await moves.end(repo);
    return { blobs, uploads };
  }

  /** Blobs that are held are marked as absent instead. */
  async #deleteBlobs(repo: RepoName): Promise<number> {
    const { storage, changes } = this.#parts;
    let deleted = 0;
    for await (const page of pagesOf(storage.repository(repo).listBlobs())) {
      for (const digest of page)
        await changes.onBlob(repo, digest, () => changes.change(repo, { kind: 'deleteBlob', digest }));
      deleted += page.length;
    }
    return deleted;
  }

  async #removeAtOnce(
    repo: RepoName,
    before: RepositoryOutcome = { blobs: 0, uploads: 0 },
  ): Promise<RepositoryOutcome> {
    const { storage, index, changes, moves } = this.#parts;
    const store = storage.repository(repo);
    // Whatever is left behind is found as garbage.
    await index.addCandidates([{ repo, what: WHOLE_REPOSITORY, sinceMs: 0 }]);
    await store.removeLayout();
    await index.removeRepository(repo);
    changes.forgetChunks(repo);
    const uploads = await this.#endUploads(repo);
    const blobs = await this.#removeBlobs(repo);
    await store.removeEmptyFolders();
    await this.#parts.flushCounts();
    await moves.forgetRecords(repo);
    await moves.end(repo);
    return { blobs: before.blobs + blobs, uploads: before.uploads + uploads };
  }

  async #removeBlobs(repo: RepoName): Promise<number> {
    let removed = 0;
    for await (const page of pagesOf(this.#parts.storage.repository(repo).listBlobs())) {
      await Promise.all(page.map((digest) => this.#removeBlob(repo, digest)));
      removed += page.length;
    }
    return removed;
  }

  /** Removes the bytes of a blob, with all that is noted of them. */
  #removeBlob(repo: RepoName, digest: Digest): Promise<void> {
    const { storage, index, changes, damage } = this.#parts;
    return changes.onBlob(repo, digest, async () => {
      await index.removeBlobs(repo, [digest]);
      await storage.repository(repo).deleteBlob(digest);
      await index.removeTombstones(repo, [digest]);
      await damage.forget(repo, [digest]);
    });
  }

  // --- renaming ---

  async #rename(repo: RepoName, target: RepoName): Promise<RepositoryOutcome> {
    const { storage, index, changes, moves } = this.#parts;
    const [from, to] = [storage.repository(repo), storage.repository(target)];
    const uploads = await this.#endUploads(repo);
    const blobs = await this.#linkBlobs(repo, target);
    await index.copyTombstones(repo, target);
    await this.#copyDamage(repo, target);
    if ((await from.statIndex()) !== null) await this.#takeIndex(repo, target);
    const state = await index.findRepository(repo);
    const stat = await to.statIndex();
    if (state !== null && stat !== null) {
      const now = { ...state, fingerprint: stat.fingerprint, doubtfulUntilMs: 0 };
      await index.renameRepository(repo, target, now);
    }
    for (const name of [repo, target]) changes.forgetChunks(name);
    await this.#parts.flushCounts();
    await moves.moveRecords(repo, target);
    await this.#parts.tags.moveRepository(repo, target);
    await this.#removeAbsent(repo);
    if ((await from.statIndex()) === null) await from.removeLayout();
    await index.addCandidates([{ repo, what: WHOLE_REPOSITORY, sinceMs: 0 }]);
    await moves.end(repo);
    return { blobs, uploads };
  }

  /** What counts as absent must not come back under the old name: its marks have moved, so its bytes go. */
  async #removeAbsent(repo: RepoName): Promise<void> {
    const { storage, index } = this.#parts;
    for await (const digest of storage.repository(repo).listBlobs())
      if (await index.isTombstoned(repo, digest)) await this.#removeBlob(repo, digest);
  }

  /** `missing`: another tool took the repository away; then there is nothing to rename. */
  async #takeIndex(repo: RepoName, target: RepoName): Promise<void> {
    const { storage } = this.#parts;
    try {
      await storage.repository(target).takeIndex(storage.repository(repo));
    } catch (error) {
      if (!(error instanceof StorageError && error.fault === 'missing')) throw error;
      this.#parts.report(repo, null, `it is gone, and was not renamed to ${target}`);
    }
  }

  /** Makes every blob stand under the new name too, as it does under the old one. */
  async #linkBlobs(repo: RepoName, target: RepoName): Promise<number> {
    const { storage, index, nowMs } = this.#parts;
    const [from, to] = [storage.repository(repo), storage.repository(target)];
    let linked = 0;
    for await (const page of pagesOf(from.listBlobs())) {
      const sinceMs = nowMs();
      // Noted before they are there, so that a crash leaves nothing that nobody knows of.
      await index.addCandidates(page.map((what) => ({ repo: target, what, sinceMs })));
      await Promise.all(page.map((digest) => to.mountBlob(from, digest)));
      await index.addBlobs(target, await Promise.all(page.map((digest) => this.#sized(repo, digest))));
      linked += page.length;
    }
    return linked;
  }

  async *#sizedBlobs(repo: RepoName): AsyncIterable<BlobRow> {
    for await (const digest of this.#parts.storage.repository(repo).listBlobs())
      yield await this.#sized(repo, digest);
  }

  /** A blob with the size that it must have, or, where nobody knows that, the one that it has. */
  async #sized(repo: RepoName, digest: Digest): Promise<BlobRow> {
    const known = await this.#parts.index.findBlob(repo, digest);
    if (known !== null) return known;
    const stat = await this.#parts.storage.repository(repo).statBlob(digest);
    return { digest, sizeBytes: stat?.sizeBytes ?? 0 };
  }

  /** What is damaged is so under the new name too, before anybody can ask for it there. */
  async #copyDamage(repo: RepoName, target: RepoName): Promise<void> {
    for (let after: DamagePlace | null = null; ;) {
      const page: DamageRow[] = await this.#parts.index.listDamage({ after, limit: PAGE });
      const rows = page.filter((row) => row.repo === repo);
      await this.#parts.damage.add(rows.map((row) => ({ ...row, repo: target })));
      after = page.at(-1) ?? null;
      if (after === null || after.repo > repo) return;
    }
  }

  // --- both ---

  /** A fault before the old name has ended leaves everything as it was. */
  async #wholly(
    { repo, target }: RepositoryMove,
    work: () => Promise<RepositoryOutcome>,
  ): Promise<RepositoryOutcome> {
    const { storage, moves, index } = this.#parts;
    try {
      return await work();
    } catch (error) {
      const stat = await storage.repository(repo).statIndex();
      const [entry] = await index.listEntries(repo, { afterPosition: -1, limit: 1 });
      // Half way it can only be carried on: once more now, or by the next start.
      if (stat === null || entry === undefined) return work();
      await moves.end(repo);
      if (target !== null) await index.addCandidates([{ repo: target, what: WHOLE_REPOSITORY, sinceMs: 0 }]);
      throw error;
    }
  }

  async #endUploads(repo: RepoName): Promise<number> {
    const store = this.#parts.storage.repository(repo);
    let ended = 0;
    for await (const page of pagesOf(store.listUploads())) {
      await Promise.all(page.map((id) => this.#endUpload({ repo, id })));
      ended += page.length;
    }
    return ended;
  }

  async #endUpload(upload: UploadRef): Promise<void> {
    try {
      await this.#parts.endUpload(upload);
    } catch (error) {
      // Whoever writes to it does not let go: what is written has no name from now on, and never gets one.
      if (!(error instanceof RegistryError)) throw error;
      await this.#parts.storage.repository(upload.repo).cancelUpload(upload.id);
      this.#parts.quotas.dropUpload(upload);
    }
  }

  /** Which index.json a repository has; '': none. Times and sizes outlive a copy of the folder. */
  async #versionOf(repo: RepoName): Promise<string> {
    const stat = await this.#parts.storage.repository(repo).statIndex();
    return stat === null ? '' : `${stat.sizeBytes} ${stat.modifiedMs}`;
  }

  #requireOneStore(repo: RepoName, target: RepoName): void {
    if (repo === target) throw refusal(409, 'the repository has that name already', { name: repo });
    if (this.#parts.storage.shareStore(repo, target)) return;
    const message = `${repo} and ${target} lie in different stores: copy it there, and delete it here`;
    throw refusal(400, message, { name: repo, target });
  }

  async #requireRepository(repo: RepoName): Promise<void> {
    const stat = await this.#parts.storage.repository(repo).statIndex();
    if (stat === null) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repo } });
  }

  async #requireFree(target: RepoName): Promise<void> {
    const { storage, index } = this.#parts;
    if ((await storage.repository(target).statIndex()) === null) return;
    // One that names nothing is none to anybody who looks: it may hold what can be undone.
    const [entry] = await index.listEntries(target, { afterPosition: -1, limit: 1 });
    if (entry === undefined && (await unknownContent(index, target)) === null) return;
    throw refusal(409, `there is a repository ${target} already`, { target });
  }

  /** A tag that may be neither moved nor deleted keeps its name and that of its repository. */
  async #requireMutable(repo: RepoName): Promise<void> {
    const { index, tagHistory } = this.#parts;
    const { rules } = tagHistory;
    if (!rules.guards(repo)) return;
    for (let after = ''; ;) {
      const tags = await index.listTags(repo, { after, limit: PAGE });
      for (const tag of tags) {
        if (rules.immutability(repo, tag)?.deletable !== false) continue;
        throw refusal(409, `the tag ${tag} is immutable: its repository keeps its name`, { reference: tag });
      }
      const last = tags.at(-1);
      if (last === undefined) return;
      after = last;
      await nextTurn();
    }
  }
}

function refusal(status: number, message: string, detail: Record<string, string>): RegistryError {
  return new RegistryError('DENIED', { status, message, detail });
}

/** Pages of what a listing gives. */
async function* pagesOf<Item>(items: AsyncIterable<Item>): AsyncIterable<Item[]> {
  let page: Item[] = [];
  for await (const item of items) {
    page.push(item);
    if (page.length < AT_ONCE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
