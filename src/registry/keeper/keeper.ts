import { WeightedLru } from '#lib/weighted-lru';
import { UPLOADS } from '#metadata';
import type { DiskReserve, IndexWriter, PullCount, Records } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { Storage, Store } from '#storage';
import { BlobMounts } from './blobs/blob-mounts.ts';
import { BlobSharing, UnprovenCopy } from './blobs/blob-sharing.ts';
import type { SharedBlob } from './blobs/blob-sharing.ts';
import { Changes } from './changes.ts';
import { DamageDesk } from './damage/damage-desk.ts';
import { CommitGroup } from './index-file/commit-group.ts';
import { DedupeDesk } from './blobs/dedupe-desk.ts';
import { GarbageDesk } from './removal/garbage-desk.ts';
import type { IndexChunks } from './index-file/index-chunks.ts';
import type {
  Keeper,
  ManifestPush,
  RepositoryOutcome,
  RevokeReason,
  TagEventPage,
  TagEventRange,
  UploadProgress,
  UploadRef,
} from './keeper-contract.ts';
import type { Operation, Plan } from './plans/operation.ts';
import { RecordJournal } from './record-journal.ts';
import { QuotaCounting } from './quotas/quota-counting.ts';
import type { QuotaStatus } from './quotas/quota-ledger.ts';
import { QuotaDesk } from './quotas/quota-desk.ts';
import { RepositoryDesk } from './repositories/repository-desk.ts';
import { RepositoryLimit } from './quotas/repository-limit.ts';
import type { QueueParts } from './repository-queue.ts';
import { RepositoryWatches } from './removal/repository-watches.ts';
import { RetentionDesk } from './removal/retention-desk.ts';
import { TagDesk } from './tags/tag-desk.ts';
import { TagHistory } from './tags/tag-history.ts';
import { UploadLedger } from './blobs/upload-ledger.ts';
import { localUserDesk } from './user-desk.ts';
import type { UserDesk } from './user-desk.ts';

export interface KeeperParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly records: Records;
  readonly report: QueueParts['report'];
  /** The wall clock, milliseconds since the epoch; absent: that of the machine. */
  readonly nowMs?: () => number;
  /** Room to be given up for deletes on a full disk. */
  readonly reserve?: DiskReserve;
  /** Repositories at most; absent or 0: no limit. */
  readonly maxRepos?: number;
}

/** Serialised index files held in memory, all repositories together. */
const CHUNKS_BYTES_MAX = 64 * 1024 * 1024;
/** Copies that are read for one push; with none of them fit to be linked, its own bytes are stored. */
const PROOFS_MAX = 3;
/** Counts and push times are written this often; a pull never waits for it. */
const RECORDS_FLUSH_MS = 1000;

/** The one that changes things: see `keeper-contract.ts` for what each call promises. */
export class LocalKeeper implements Keeper {
  readonly users: UserDesk;
  /** Tags beyond pushes and deletes: history, holds, rules. */
  readonly tags: TagDesk;
  /** What sweeps ask for. */
  readonly garbage: GarbageDesk;
  /** What passes over equal blobs ask for. */
  readonly dedupe: DedupeDesk;
  /** What retention asks for. */
  readonly retention: RetentionDesk;
  /** What is known to be damaged. */
  readonly damage: DamageDesk;
  /** What is counted for quotas, and which are in force. */
  readonly quotas: QuotaCounting;
  /** Whole repositories, renamed and removed. */
  readonly repositories: RepositoryDesk;
  #quotaDesk: QuotaDesk;
  #mounts: BlobMounts;
  #repositoryLimit: RepositoryLimit;
  #storage: Storage;
  #index: IndexWriter;
  #records: Records;
  #changes: Changes;
  #history: TagHistory;
  #ledger = new UploadLedger();
  #sharing: BlobSharing;
  #journal: RecordJournal;
  #watches = new RepositoryWatches();
  #flushTimer: NodeJS.Timeout;
  #walked = false;
  #nowMs: () => number;
  #report: QueueParts['report'];
  #reserve: DiskReserve | null;

  constructor(parts: KeeperParts) {
    this.#storage = parts.storage;
    this.#index = parts.index;
    this.#records = parts.records;
    this.#report = parts.report;
    this.#nowMs = parts.nowMs ?? Date.now;
    this.#reserve = parts.reserve ?? null;
    this.#sharing = new BlobSharing(parts.storage, parts.index);
    this.users = localUserDesk(parts.records.accounts);
    this.#journal = new RecordJournal(parts.records, (problem) => {
      parts.report('', null, problem);
    });
    this.#quotaDesk = new QuotaDesk(parts);
    this.#repositoryLimit = new RepositoryLimit(parts.index, parts.maxRepos ?? 0);
    this.#history = new TagHistory(parts.records.history);
    this.#changes = new Changes(parts.storage, this.#queueParts(parts), this.#reserve);
    const desk = {
      storage: parts.storage,
      index: parts.index,
      changes: this.#changes,
      sharing: this.#sharing,
      quotas: this.#quotaDesk,
      report: parts.report,
      nowMs: this.#nowMs,
      noteBlob: (repo: RepoName, digest: Digest) => this.#noteBlob(repo, digest),
    };
    this.dedupe = new DedupeDesk(desk);
    this.damage = new DamageDesk({ ...desk, records: parts.records.damage });
    this.quotas = new QuotaCounting({
      ...desk,
      desk: this.#quotaDesk,
      report: (path, error) =>
        parts.report(path, null, `the bytes of a quota could not be counted: ${String(error)}`),
    });
    const { history } = parts.records;
    this.tags = new TagDesk({ ...desk, history, tagHistory: this.#history });
    this.#mounts = new BlobMounts(desk);
    this.garbage = new GarbageDesk({
      ...desk,
      ledger: this.#ledger,
      noteUploads: (repos) => this.noteUploads(repos),
      onRemoved: (repo, digests) => this.damage.forget(repo, digests),
    });
    this.repositories = new RepositoryDesk({
      ...desk,
      tags: this.tags,
      tagHistory: this.#history,
      moves: parts.records.moves,
      damage: this.damage,
      endUpload: (upload) => this.cancelUpload(upload),
      flushCounts: () => this.#journal.flush(),
    });
    this.retention = new RetentionDesk({
      changes: this.#changes,
      watches: this.#watches,
      journal: this.#journal,
    });
    this.#flushTimer = setInterval(() => {
      void this.#flush();
      void this.#reserve?.renew();
    }, RECORDS_FLUSH_MS);
    this.#flushTimer.unref();
  }

  #queueParts({ index, report }: KeeperParts): QueueParts {
    return {
      index,
      report,
      group: new CommitGroup(index),
      chunks: new WeightedLru<RepoName, IndexChunks>(CHUNKS_BYTES_MAX),
      nowMs: this.#nowMs,
      history: this.#history,
      watches: this.#watches,
      onCommit: (repo, operation, plan) => this.#record(repo, operation, plan),
      onRemoved: (repo, digests) => this.damage.forget(repo, digests),
      countsBytes: (repo) => this.#quotaDesk.covers(repo),
      onOutsideChange: (repo) => this.quotas.noteOutsideChange(repo),
    };
  }

  /** Learns which stores can share blobs; those that cannot are given to `onLack`. */
  probeSharing(onLack: (store: Store) => void): Promise<void> {
    return this.#sharing.probe(onLack);
  }

  // --- uploads ---

  claimUpload(upload: UploadRef, onRevoke: (why: RevokeReason) => void): Promise<UploadProgress | null> {
    return this.#ledger.claim(upload, onRevoke);
  }

  async releaseUpload(upload: UploadRef, progress: UploadProgress | null): Promise<void> {
    try {
      // Before the claim ends, since whoever claims it next is promised more.
      await this.#quotaDesk.settleUpload(upload);
    } finally {
      this.#ledger.release(upload, progress);
    }
  }

  reserveUpload(upload: UploadRef, neededBytes: number, wantedBytes: number): Promise<number> {
    return this.#quotaDesk.reserveUpload(upload, neededBytes, wantedBytes);
  }

  quotaStatus(): Promise<QuotaStatus[]> {
    return this.quotas.status();
  }

  async finishUpload(upload: UploadRef, blob: { digest: Digest; sizeBytes: number }): Promise<void> {
    try {
      await this.#finish(upload, blob);
    } catch (error) {
      if (error instanceof StorageError && error.fault === 'missing') {
        throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { session_id: upload.id }, cause: error });
      }
      throw error;
    }
    this.#ledger.forget(upload);
  }

  /**
   * Names an upload. A stored copy that it could be linked to, and that nobody proved since the start, is read first:
   * while no lock is held, and what is reserved for the upload stays reserved.
   */
  async #finish(upload: UploadRef, { digest, sizeBytes }: Omit<SharedBlob, 'mayProve'>): Promise<void> {
    let mayProve = true;
    for (let proofs = 1; ; proofs += 1) {
      const blob = { digest, sizeBytes, mayProve };
      try {
        return await this.#quotaDesk.whileFinishing(upload, sizeBytes, () => this.#name(upload, blob));
      } catch (error) {
        if (!(error instanceof UnprovenCopy)) throw error;
        mayProve = (await this.damage.prove(error.repo, digest)) && proofs < PROOFS_MAX;
      }
    }
  }

  /** Gives the bytes of an upload their name. */
  #name(upload: UploadRef, blob: SharedBlob): Promise<void> {
    const { repo, id } = upload;
    const store = this.#storage.repository(repo);
    return this.#changes.onBlob(repo, blob.digest, async () => {
      await this.#noteBlob(repo, blob.digest);
      const linked = await this.#sharing.share(repo, blob, {
        place: () => store.finishUpload(id, blob.digest),
        record: () => this.#recordBlob(repo, blob),
      });
      if (linked) await this.#discard(upload);
    });
  }

  /** Removes the bytes of an upload that are stored elsewhere. */
  async #discard(upload: UploadRef): Promise<void> {
    try {
      await this.#storage.repository(upload.repo).cancelUpload(upload.id);
    } catch (error) {
      // In the way, and no more than that: it is collected as an upload that nobody goes on with.
      this.#report(upload.repo, null, `the upload ${upload.id} is left behind: ${String(error)}`);
    }
  }

  async cancelUpload(upload: UploadRef): Promise<boolean> {
    await this.#ledger.claim(upload, () => undefined);
    try {
      return await this.#storage.repository(upload.repo).cancelUpload(upload.id);
    } finally {
      await this.releaseUpload(upload, null);
    }
  }

  // --- blobs ---

  mountBlob(repo: RepoName, from: RepoName, digest: Digest): Promise<boolean> {
    return this.#mounts.mount(repo, from, digest);
  }

  /** Under the lock of the digest: whoever looks for its names misses none. */
  async #recordBlob(repo: RepoName, blob: { digest: Digest; sizeBytes: number }): Promise<void> {
    await this.#index.recordBlob(repo, blob, this.#nowMs());
    await this.damage.replaced(repo, blob.digest);
  }

  deleteBlob(repo: RepoName, digest: Digest): Promise<void> {
    return this.#changes.onBlob(repo, digest, () =>
      this.#changes.change(repo, { kind: 'deleteBlob', digest }),
    );
  }

  /** Noted before it stands here, so that a crash in between leaves no blob that nobody knows of. */
  #noteBlob(repo: RepoName, digest: Digest): Promise<void> {
    return this.#index.addCandidates([{ repo, what: digest, sinceMs: this.#nowMs() }]);
  }

  /** Notes repositories where uploads were begun, which may be given up one day. */
  async noteUploads(repos: readonly RepoName[]): Promise<void> {
    const sinceMs = this.#nowMs();
    await this.#index.addCandidates(repos.map((repo) => ({ repo, what: UPLOADS, sinceMs })));
  }

  // --- manifests ---

  async pushManifest(push: ManifestPush): Promise<void> {
    const { repo, digest } = push;
    const blob = { digest, sizeBytes: push.bytes.length };
    const commit = (): Promise<void> => this.#changes.change(repo, { kind: 'push', push });
    await this.#repositoryLimit.whilePushing(repo, () => this.#quotaDesk.whileAdding(repo, blob, commit));
    await this.damage.pushed(repo, digest);
    await this.#journal.flushWhenFull();
  }

  async deleteManifest(repo: RepoName, reference: Reference, tagsMax: number, by = ''): Promise<void> {
    if (reference.kind === 'tag')
      return this.#changes.change(repo, { kind: 'deleteTag', tag: reference.tag, by });
    const { digest } = reference;
    // Its file goes too, which an upload of the same bytes must not cross.
    await this.#changes.onBlob(repo, digest, () =>
      this.#changes.change(repo, { kind: 'deleteManifest', digest, tagsMax, by, purges: false }),
    );
  }

  listTagEvents(repo: RepoName, tag: Tag, range: TagEventRange): Promise<TagEventPage | null> {
    return this.tags.events(repo, tag, range);
  }

  removeRepository(repo: RepoName, by = ''): Promise<RepositoryOutcome> {
    return this.repositories.remove(repo, by);
  }

  renameRepository(repo: RepoName, target: RepoName): Promise<RepositoryOutcome> {
    return this.repositories.rename(repo, target);
  }

  refresh(repo: RepoName): Promise<void> {
    return this.#changes.change(repo, { kind: 'refresh' });
  }

  lookAt(repo: RepoName, digest: Digest): Promise<boolean | null> {
    return this.damage.lookAt(repo, digest);
  }

  // --- records ---

  async addPulls(counts: readonly PullCount[]): Promise<void> {
    this.#journal.addPulls(counts);
    this.#watches.pulled(counts);
    await this.#journal.flushWhenFull();
  }

  #record(repo: RepoName, operation: Operation, plan: Plan): void {
    if (operation.kind === 'push') {
      const { digest, tags, by = '' } = operation.push;
      const isNew = plan.isFirstPush;
      this.#journal.addPush({ repo, digest, tags, pushedMs: this.#nowMs(), by, isNew });
    }
    for (const digest of plan.removedManifests) this.#journal.addRemoval({ repo, digest });
  }

  async probe(): Promise<{ walked: boolean }> {
    await Promise.all([this.#index.probe(), this.#records.probe()]);
    return { walked: this.#walked };
  }

  /** Notes that the first look at the storage is complete. */
  markWalked(): void {
    this.#walked = true;
  }

  async close(): Promise<void> {
    clearInterval(this.#flushTimer);
    await this.damage.close();
    await this.quotas.close();
    await this.#flush();
  }

  async #flush(): Promise<void> {
    await this.#journal.flush();
    try {
      await this.#history.flush();
    } catch (error) {
      // What is not confirmed is judged anew, by the tags as they are.
      this.#report('', null, `the history of tags could not be written: ${String(error)}`);
    }
  }
}
