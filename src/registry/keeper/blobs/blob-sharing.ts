import { KeyedLock } from '#lib/keyed-lock';
import { WeightedLru } from '#lib/weighted-lru';
import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { Fingerprint, Storage, Store } from '#storage';

/** Places of a blob that are asked for a link, the last that gave one first; a name may have too many already. */
const PLACES_MAX = 50;
const REMEMBERED_MAX = 10_000;

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
  #lastPlaces = new WeightedLru<string, RepoName>(REMEMBERED_MAX);
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
   * linked. Pushes of one digest wait for each other, so that the second finds the first.
   */
  share(
    repo: RepoName,
    blob: { readonly digest: Digest; readonly sizeBytes: number },
    how: { readonly place: () => Promise<void>; readonly record: () => Promise<void> },
  ): Promise<boolean> {
    const key = this.#key(repo, blob.digest);
    const isShared = this.shares(this.#storage.storeOf(repo));
    return this.#locks.run(key, async () => {
      const linked = isShared ? await this.#link(repo, blob, this.#lastPlaces.get(key)) : null;
      if (linked === null) await how.place();
      // Where new bytes are, the next link can be had; an old place may have as many as it can.
      if (isShared) this.#lastPlaces.set(key, linked ?? repo);
      await how.record();
      return linked !== null;
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
      if ((await source.statBlob(digest))?.fingerprint !== from.fingerprint) return 'changed';
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
      this.#lastPlaces.set(key, from.repo);
      return 'linked';
    });
  }

  /** Runs `work` while nobody else gives or links the bytes of a digest in the store of a repository. */
  exclusively<Result>(repo: RepoName, digest: Digest, work: () => Promise<Result>): Promise<Result> {
    return this.#locks.run(this.#key(repo, digest), work);
  }

  #key(repo: RepoName, digest: Digest): string {
    return `${this.#storage.storeOf(repo).route} ${digest}`;
  }

  /** Links a blob to one of its places, and gives that; `null` when none can be had. */
  async #link(
    repo: RepoName,
    { digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number },
    last: RepoName | undefined,
  ): Promise<RepoName | null> {
    // Where one copy rotted, another may have too: the bytes at hand are proven, and mend it.
    const damaged = await this.#index.listDamagedCopies(digest, { after: '', limit: 1 });
    if (damaged.length > 0) return null;
    const holders = await this.#index.listBlobHolders(digest, { after: '', limit: PLACES_MAX });
    const target = this.#storage.repository(repo);
    for (const holder of new Set(last === undefined ? holders : [last, ...holders])) {
      if (holder === repo || !this.#storage.shareStore(holder, repo)) continue;
      if (await this.#index.isTombstoned(holder, digest)) continue;
      const source = this.#storage.repository(holder);
      try {
        // Another size is damage: the push brings what is whole.
        if ((await source.statBlob(digest))?.sizeBytes !== sizeBytes) continue;
        // What this process placed or linked before is durable where the store is.
        await target.mountBlob(source, digest, { mustShare: true, sourceIsDurable: holder === last });
        return holder;
      } catch (error) {
        // Too many links, gone, or out of reach: another place may do, and the upload itself always does.
        if (!(error instanceof StorageError)) throw error;
      }
    }
    return null;
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
