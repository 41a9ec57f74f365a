import type { IndexReader } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { BlobCopy, Fingerprint, Storage, Store } from '#storage';
import type { BlobRelink, BlobSharing, RelinkResult } from './blob-sharing.ts';
import type { Changes } from '../changes.ts';

export interface DedupeParts {
  readonly storage: Storage;
  readonly index: IndexReader;
  readonly changes: Changes;
  readonly sharing: BlobSharing;
}

/** What a pass over equal blobs asks for: each time decided anew, under the lock of the blob. */
export class DedupeDesk {
  #parts: DedupeParts;

  constructor(parts: DedupeParts) {
    this.#parts = parts;
  }

  /** Whether equal blobs of a store are stored once. */
  shares(store: Store): boolean {
    return this.#parts.sharing.shares(store);
  }

  /** Gives a blob the bytes of its equal in another repository, as `BlobSharing.relink` says. */
  relink(relink: BlobRelink): Promise<RelinkResult> {
    const { changes, sharing } = this.#parts;
    return changes.onBlob(relink.repo, relink.digest, () => sharing.relink(relink));
  }

  /** Gives a blob bytes of its own, if it is still what was copied; gives whether it was. */
  placeCopy(repo: RepoName, digest: Digest, copy: BlobCopy, copied: Fingerprint): Promise<boolean> {
    const { storage, index, changes } = this.#parts;
    const store = storage.repository(repo);
    return changes.onBlob(repo, digest, async () => {
      if ((await store.statBlob(digest))?.fingerprint !== copied) return false;
      if ((await index.whyAbsent(repo, digest)) !== null) return false;
      await store.placeCopy(copy, digest, { replaces: true });
      return true;
    });
  }
}
