import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { FileStat, RepositoryStore, Storage } from '#storage';
import type { BlobSharing } from './blob-sharing.ts';
import type { Changes } from '../changes.ts';
import type { QuotaDesk } from '../quotas/quota-desk.ts';

export interface MountParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly changes: Changes;
  readonly sharing: BlobSharing;
  readonly quotas: QuotaDesk;
  readonly nowMs: () => number;
  /** Makes a later sweep look at a blob. */
  readonly noteBlob: (repo: RepoName, digest: Digest) => Promise<void>;
}

interface Mount {
  readonly target: RepositoryStore;
  readonly source: RepositoryStore;
  readonly digest: Digest;
  /** The source as it was looked at. */
  readonly found: FileStat;
}

/** Makes blobs of one repository stand in another. */
export class BlobMounts {
  #parts: MountParts;

  constructor(parts: MountParts) {
    this.#parts = parts;
  }

  /** Gives whether `from` had the blob, so that it stands in `repo` now. */
  async mount(repo: RepoName, from: RepoName, digest: Digest): Promise<boolean> {
    const { storage, index, changes, sharing, quotas, noteBlob } = this.#parts;
    const source = storage.repository(from);
    const found = await source.statBlob(digest);
    if (found === null || !storage.shareStore(repo, from)) return false;
    if ((await index.whyAbsent(from, digest)) !== null) return false;
    const { sizeBytes } = found;
    const target = storage.repository(repo);
    const mount = async (): Promise<boolean> => {
      await noteBlob(repo, digest);
      return sharing.exclusively(repo, digest, () => this.#link({ target, source, digest, found }));
    };
    return quotas.whileAdding(repo, { digest, sizeBytes }, () => changes.onBlob(repo, digest, mount));
  }

  async #link({ target, source, digest, found }: Mount): Promise<boolean> {
    const { index, sharing, nowMs } = this.#parts;
    // Where its own bytes are damaged, those at the other place may be too: what the client uploads is proven.
    const places = [source.name, target.name];
    const damage = await Promise.all(places.map((name) => index.findDamage(name, digest)));
    if (damage.some((row) => row !== null)) return false;
    const isSame = target.name === source.name;
    // Also where it stands already: a copy left by a process that was killed may never have been synced. Mounted
    // from itself there is nothing to link, but it may have been deleted since it was looked for.
    const stands = isSame ? await this.#stands(target, digest) : await linked(target, source, digest);
    if (!stands) return false;
    if (!isSame) sharing.noteMounted(digest, { from: source.name, to: target.name }, found);
    await index.recordBlob(target.name, { digest, sizeBytes: found.sizeBytes }, nowMs());
    return true;
  }

  async #stands(target: RepositoryStore, digest: Digest): Promise<boolean> {
    const found = await target.statBlob(digest);
    return found !== null && (await this.#parts.index.whyAbsent(target.name, digest)) === null;
  }
}

async function linked(target: RepositoryStore, source: RepositoryStore, digest: Digest): Promise<boolean> {
  try {
    await target.mountBlob(source, digest);
    return true;
  } catch (error) {
    // Deleted since it was looked for: the client uploads it instead.
    if (error instanceof StorageError && error.fault === 'missing') return false;
    throw error;
  }
}
