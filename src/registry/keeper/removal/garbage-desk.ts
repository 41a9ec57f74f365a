import { JoinedCalls } from '#lib/joined-calls';
import { HELD_SINCE_MS, WHOLE_REPOSITORY } from '#metadata';
import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { Storage } from '#storage';
import type { Changes } from '../changes.ts';
import type { UploadRef } from '../keeper-contract.ts';
import type { Operation } from '../plans/operation.ts';
import type { QuotaDesk } from '../quotas/quota-desk.ts';
import type { UploadLedger } from '../blobs/upload-ledger.ts';

export interface GarbageParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly changes: Changes;
  readonly ledger: UploadLedger;
  readonly quotas: QuotaDesk;
  /** Makes a later sweep look at a blob. */
  readonly noteBlob: (repo: RepoName, digest: Digest) => Promise<void>;
  /** Hears of blobs that are gone. */
  readonly onRemoved: (repo: RepoName, digests: readonly Digest[]) => Promise<void>;
  /** Makes a later sweep look at the uploads of repositories. */
  readonly noteUploads: (repos: readonly RepoName[]) => Promise<void>;
}

/** What a sweep asks to be removed: each time decided anew, when its turn comes, against what is there then. */
export class GarbageDesk {
  #parts: GarbageParts;
  /** Blobs whose tombstones go; those of one change go in one transaction. */
  #dug: JoinedCalls<{ readonly repo: RepoName; readonly digest: Digest }>;

  constructor(parts: GarbageParts) {
    this.#parts = parts;
    this.#dug = new JoinedCalls(async (dug) => {
      for (const [repo, blobs] of Map.groupBy(dug, (blob) => blob.repo)) {
        const digests = blobs.map(({ digest }) => digest);
        await parts.index.removeTombstones(repo, digests);
      }
    });
  }

  /** Removes a manifest that is garbage, if it is so still when its turn comes; gives whether it is gone. */
  collectManifest(
    repo: RepoName,
    manifest: Omit<Extract<Operation, { kind: 'collectManifest' }>, 'kind'>,
  ): Promise<boolean> {
    const { digest } = manifest;
    return this.#parts.changes.onBlob(repo, digest, async () => {
      await this.#parts.changes.change(repo, { kind: 'collectManifest', ...manifest });
      return (await this.#parts.index.findManifest(repo, { kind: 'digest', digest })) === null;
    });
  }

  /** Takes a manifest whose file is gone out of index.json, if it is so still; gives whether it was taken out. */
  pruneDead(repo: RepoName, digest: Digest): Promise<boolean> {
    const { changes, index } = this.#parts;
    return changes.onBlob(repo, digest, async () => {
      await changes.change(repo, { kind: 'pruneDead', digest });
      return (await index.findEntries(repo, { kind: 'digest', digest })).length === 0;
    });
  }

  /**
   * Marks a blob as about to be removed, or as absent while it is held, if nothing needs it and it was not noted
   * again since `sinceMs`; gives whether it is marked.
   */
  buryBlob(repo: RepoName, digest: Digest, sinceMs: number): Promise<boolean> {
    return this.#parts.changes.onBlob(repo, digest, async () => {
      await this.#parts.changes.change(repo, { kind: 'buryBlob', digest, sinceMs });
      return this.#parts.index.isTombstoned(repo, digest);
    });
  }

  /**
   * Removes the bytes of a buried blob, if nothing needs it; gives how many they were, `null` when it is not gone. To
   * be asked for several at once, which go in one change.
   */
  collectBlob(repo: RepoName, digest: Digest): Promise<number | null> {
    return this.#parts.changes.onBlob(repo, digest, async () => {
      const plan = await this.#parts.changes.carryOut(repo, { kind: 'collectBlob', digest });
      const isGone = plan.removedFiles.includes(digest);
      if (!isGone) {
        // Held meanwhile: it stays, and stays absent.
        const tombstone = await this.#parts.index.findTombstone(repo, digest);
        if (tombstone?.sinceMs === HELD_SINCE_MS) return null;
        // Needed, or written again: to be judged anew.
        await this.#parts.noteBlob(repo, digest);
      }
      await this.#dug.run({ repo, digest });
      return isGone ? plan.freedBytes : null;
    });
  }

  /** Forgets a blob whose file is gone, though nobody asked for that. */
  forgetBlob(repo: RepoName, digest: Digest): Promise<void> {
    return this.#parts.changes.onBlob(repo, digest, async () => {
      if ((await this.#parts.storage.repository(repo).statBlob(digest)) !== null) return;
      await this.#parts.index.removeBlobs(repo, [digest]);
      await this.#parts.onRemoved(repo, [digest]);
      await this.#parts.index.removeTombstones(repo, [digest]);
    });
  }

  /**
   * Removes a repository that names nothing and holds nothing, if `isOld` says so of its index.json, with folders
   * that hold nothing; gives whether it was one. An empty one that is too young is noted, to be looked at again.
   */
  async removeEmpty(repo: RepoName, isOld: (modifiedMs: number) => boolean): Promise<boolean> {
    const store = this.#parts.storage.repository(repo);
    if (!(await store.holdsNothing())) return false;
    const wasThere = (await this.#parts.index.findRepository(repo)) !== null;
    await this.#parts.changes.change(repo, { kind: 'removeEmpty', isOld });
    if ((await this.#parts.index.findRepository(repo)) === null) {
      await store.removeEmptyFolders();
      return wasThere;
    }
    const entries = await this.#parts.index.listEntries(repo, { afterPosition: -1, limit: 1 });
    if (entries.length === 0) await this.#parts.noteUploads([repo]);
    return false;
  }

  /** Makes the next sweep look at all that is in the folder of a repository. */
  noteWhole(repo: RepoName): Promise<void> {
    return this.#parts.index.addCandidates([{ repo, what: WHOLE_REPOSITORY, sinceMs: 0 }]);
  }

  /** Removes an upload that nobody writes to, if `isOld` says so of its file's time; gives whether it is gone. */
  async collectUpload(upload: UploadRef, isOld: (modifiedMs: number) => boolean): Promise<boolean> {
    if (this.#parts.ledger.isClaimed(upload)) return false;
    // Claimed meanwhile, so that no client goes on with it while it is looked at.
    const progress = await this.#parts.ledger.claim(upload, () => undefined);
    let gone = false;
    try {
      const store = this.#parts.storage.repository(upload.repo);
      const stat = await store.statUpload(upload.id);
      if (stat !== null && isOld(stat.modifiedMs)) await store.cancelUpload(upload.id);
      else if (stat !== null) return false;
      this.#parts.quotas.dropUpload(upload);
      gone = true;
    } finally {
      this.#parts.ledger.release(upload, gone ? null : progress);
    }
    return true;
  }
}
