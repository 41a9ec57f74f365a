import { KeyedLock } from '#lib/keyed-lock';
import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { FileStat, Fingerprint, Storage, Store } from '#storage';
import { ProvenCopies, covers } from './proven-copies.ts';
import type { ProvenCopy } from './proven-copies.ts';

/** Places of a blob that are asked for a link, the last that gave one first; a name may have too many already. */
const PLACES_MAX = 50;

/** A blob whose bytes are at hand and have its digest. */
export interface SharedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** A copy that could be linked may be named to whoever asks, to be proven first, instead of being passed over. */
  readonly mayProve: boolean;
}

/** Says which copy must be proven before it is linked; thrown, since nothing has been done for the blob yet. */
export class UnprovenCopy extends Error {
  readonly repo: RepoName;

  constructor(repo: RepoName) {
    super(`the copy in ${repo} was not proven since the start`);
    this.name = 'UnprovenCopy';
    this.repo = repo;
  }
}

/** A blob that shall get the bytes of another repository; the fingerprints are those by which both were looked at. */
export interface BlobRelink {
  readonly repo: RepoName;
  readonly digest: Digest;
  readonly fingerprint: Fingerprint;
  readonly from: { readonly repo: RepoName; readonly fingerprint: Fingerprint };
  /** The bytes of `from` are on the disk: they were synced for an earlier link. */
  readonly sourceIsDurable: boolean;
}

/** `refused`: these bytes cannot have another name; `changed`: it is not what was looked at any more. */
export type RelinkResult = 'linked' | 'refused' | 'changed';

/** Two files of a moment, named as zot names them, to learn whether a file system has hard links. */
const PROBE = 'hardlinkcheck.txt';
const PROBE_LINK = 'duphardlinkcheck.txt';

/**
 * Stores equal blobs of the repositories of one store once, by hard links. Each place stays a whole file of its own
 * repository: deleting one never touches another. Nothing is kept beside the files: where a blob is, the index knows.
 */
export class BlobSharing {
  #storage: Storage;
  #index: IndexWriter;
  #locks = new KeyedLock();
  #proven = new ProvenCopies();
  #without = new Set<Store>();

  constructor(storage: Storage, index: IndexWriter) {
    this.#storage = storage;
    this.#index = index;
  }

  /** Gives each store whose file system lacks hard links to `onLack`, and shares nothing there. */
  async probe(onLack: (store: Store) => void): Promise<void> {
    for (const store of this.#storage.stores) {
      if (store.dedupe !== true || (await hasLinks(store))) continue;
      this.#without.add(store);
      onLack(store);
    }
  }

  /** Whether equal blobs of a store are stored once: it is asked for and can be had. */
  shares(store: Store): boolean {
    return store.dedupe === true && !this.#without.has(store);
  }

  /**
   * Makes a blob stand in a repository, linked to another place of the same bytes where there is one and the store
   * shares; otherwise by `place`, which gives new bytes their name; then `record` notes it. Gives whether it was
   * linked. Pushes of one digest wait for each other, so that the second finds the first. Only what was proven since
   * the start is linked, since the bytes at hand are thrown away: throws `UnprovenCopy` where another may be.
   */
  share(
    repo: RepoName,
    blob: SharedBlob,
    how: { readonly place: () => Promise<void>; readonly record: () => Promise<void> },
  ): Promise<boolean> {
    const key = this.#key(repo, blob.digest);
    const isShared = this.shares(this.#storage.storeOf(repo));
    return this.#locks.run(key, async () => {
      const isLinked = isShared && (await this.#link(repo, blob));
      if (!isLinked) await how.place();
      // Where new bytes are, the next link can be had; an old place may have as many as it can.
      if (isShared && !isLinked) this.#proven.placed(key, repo);
      await how.record();
      return isLinked;
    });
  }

  /**
   * Puts the bytes of another repository in the place of a blob's own, which must be equal: both were proven by who
   * asks. Readers see the one or the other. Pushes of the digest wait meanwhile.
   */
  async relink({ repo, digest, fingerprint, from, sourceIsDurable }: BlobRelink): Promise<RelinkResult> {
    const store = this.#storage.storeOf(repo);
    if (!this.shares(store) || !this.#storage.shareStore(from.repo, repo)) return 'refused';
    const key = this.#key(repo, digest);
    return this.#locks.run(key, async () => {
      const source = this.#storage.repository(from.repo);
      const target = this.#storage.repository(repo);
      const stat = await source.statBlob(digest);
      if (stat?.fingerprint !== from.fingerprint) return 'changed';
      if ((await target.statBlob(digest))?.fingerprint !== fingerprint) return 'changed';
      // What is about to be removed, or damaged, must not be given a new time, nor be relied on.
      if ((await this.#index.whyAbsent(from.repo, digest)) !== null) return 'changed';
      if ((await this.#index.whyAbsent(repo, digest)) !== null) return 'changed';
      try {
        await target.mountBlob(source, digest, { mustShare: true, sourceIsDurable, replaces: true });
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        if (error.fault === 'invalid') return 'refused';
        if (error.fault === 'missing') return 'changed';
        throw error;
      }
      this.#proven.linked(key, from.repo, stat);
      return 'linked';
    });
  }

  /** Runs `work` while nobody else gives or links the bytes of a digest in the store of a repository. */
  exclusively<Result>(repo: RepoName, digest: Digest, work: () => Promise<Result>): Promise<Result> {
    return this.#locks.run(this.#key(repo, digest), work);
  }

  // --- what is proven: each under the lock of the digest, or of a file that is known by what it was then ---

  /** Proven bytes were put in a place by something else than a push. */
  notePlaced(repo: RepoName, digest: Digest): void {
    this.#proven.placed(this.#key(repo, digest), repo);
  }

  /** A copy was read to its end and is sound. */
  noteSound(repo: RepoName, digest: Digest, stat: FileStat): void {
    this.#proven.read(this.#key(repo, digest), repo, stat);
  }

  /** A copy is damaged, whatever was known of it. */
  noteDamaged(repo: RepoName, digest: Digest): void {
    this.#proven.forget(this.#key(repo, digest));
  }

  /** A copy, looked at before, was given a name in another repository of the store without being proven for it. */
  noteMounted(
    digest: Digest,
    names: { readonly from: RepoName; readonly to: RepoName },
    before: FileStat,
  ): void {
    this.#proven.mounted(this.#key(names.from, digest), names, before);
  }

  #key(repo: RepoName, digest: Digest): string {
    return `${this.#storage.storeOf(repo).route} ${digest}`;
  }

  /** Links a blob to one of its places, if one can be had. Throws `UnprovenCopy` where only one of these may do. */
  async #link(repo: RepoName, blob: SharedBlob): Promise<boolean> {
    const { digest } = blob;
    // Where one copy rotted, another may have too: the bytes at hand are proven, and mend it.
    const damaged = await this.#index.listDamagedCopies(digest, { after: '', limit: 1 });
    if (damaged.length > 0) return false;
    const proven = this.#proven.find(this.#key(repo, digest));
    let unproven: RepoName | null = null;
    for await (const holder of this.#holders(repo, digest, proven?.place)) {
      const result = await this.#linkTo(holder, repo, blob, proven);
      if (result === 'linked') return true;
      if (result === 'unproven') unproven ??= holder;
      if (proven === undefined && unproven !== null) break;
    }
    if (unproven !== null && blob.mayProve) throw new UnprovenCopy(unproven);
    return false;
  }

  /** Other repositories of the store that have a blob and are to keep it, `first` before all others. */
  async *#holders(repo: RepoName, digest: Digest, first: RepoName | undefined): AsyncIterable<RepoName> {
    const holders = await this.#index.listBlobHolders(digest, { after: '', limit: PLACES_MAX });
    for (const holder of new Set(first === undefined ? holders : [first, ...holders])) {
      if (holder === repo || !this.#storage.shareStore(holder, repo)) continue;
      if (!(await this.#index.isTombstoned(holder, digest))) yield holder;
    }
  }

  async #linkTo(
    holder: RepoName,
    repo: RepoName,
    { digest, sizeBytes }: SharedBlob,
    proven: ProvenCopy | undefined,
  ): Promise<'linked' | 'unproven' | 'unfit'> {
    const source = this.#storage.repository(holder);
    const target = this.#storage.repository(repo);
    try {
      const stat = await source.statBlob(digest);
      // Another size is damage: the push brings what is whole.
      if (stat?.sizeBytes !== sizeBytes) return 'unfit';
      if (proven === undefined || !covers(proven, holder, stat)) return 'unproven';
      // What this process placed or linked before is durable where the store is.
      await target.mountBlob(source, digest, { mustShare: true, sourceIsDurable: proven.isDurable });
      this.#proven.linked(this.#key(repo, digest), holder, stat);
      return 'linked';
    } catch (error) {
      // Too many links, gone, or out of reach: another place may do, and the upload itself always does.
      if (error instanceof StorageError) return 'unfit';
      throw error;
    }
  }
}

async function hasLinks({ driver }: Store): Promise<boolean> {
  if (!driver.flags.hardLinks) return false;
  const options = { durable: false, stagingPath: `${PROBE_LINK}.tmp` };
  try {
    await driver.put(PROBE, [Buffer.from('a')], options);
    await driver.link(PROBE, PROBE_LINK, { ...options, mustShare: true });
    return true;
  } catch (error) {
    if (error instanceof StorageError) return false;
    throw error;
  } finally {
    for (const path of [PROBE, PROBE_LINK]) await driver.delete(path, options).catch(() => false);
  }
}
