import { KeyedLock } from '#lib/keyed-lock';
import { WeightedLru } from '#lib/weighted-lru';
import type { IndexReader } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { Storage, Store } from '#storage';

/** Places of a blob that are asked for a link, the last that gave one first; a name may have too many already. */
const PLACES_MAX = 50;
const REMEMBERED_MAX = 10_000;

/** Two files of a moment, named as zot names them, to learn whether a file system has hard links. */
const PROBE = 'hardlinkcheck.txt';
const PROBE_LINK = 'duphardlinkcheck.txt';

/**
 * Stores equal blobs of the repositories of one store once, by hard links. Each place stays a whole file of its own
 * repository: deleting one never touches another. Nothing is kept beside the files: where a blob is, the index knows.
 */
export class BlobSharing {
  #storage: Storage;
  #index: IndexReader;
  #locks = new KeyedLock();
  #lastPlaces = new WeightedLru<string, RepoName>(REMEMBERED_MAX);
  #without = new Set<Store>();

  constructor(storage: Storage, index: IndexReader) {
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

  /**
   * Makes a blob stand in a repository, linked to another place of the same bytes where there is one and the store
   * shares; otherwise by `place`, which gives new bytes their name. Gives whether it was linked. Pushes of one digest
   * wait for each other, so that the second finds the first.
   */
  async share(
    repo: RepoName,
    blob: { readonly digest: Digest; readonly sizeBytes: number },
    place: () => Promise<void>,
  ): Promise<boolean> {
    const store = this.#storage.storeOf(repo);
    if (store.dedupe !== true || this.#without.has(store)) {
      await place();
      return false;
    }
    const key = `${store.route} ${blob.digest}`;
    return this.#locks.run(key, async () => {
      const linked = await this.#link(repo, blob, this.#lastPlaces.get(key));
      if (linked === null) await place();
      // Where new bytes are, the next link can be had; an old place may have as many as it can.
      this.#lastPlaces.set(key, linked ?? repo);
      return linked !== null;
    });
  }

  /** Links a blob to one of its places, and gives that; `null` when none can be had. */
  async #link(
    repo: RepoName,
    { digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number },
    last: RepoName | undefined,
  ): Promise<RepoName | null> {
    const holders = await this.#index.listBlobHolders(digest, PLACES_MAX);
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
