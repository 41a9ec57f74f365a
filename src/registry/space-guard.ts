import { RegistryError } from '#oci/errors';
import type { RepoName } from '#oci/repo-name';
import type { Storage, Store } from '#storage';

/** How long a look at the free space is trusted. */
const TRUSTED_MS = 1000;
/** With less than this above the limit it is looked at each time: a second of fast writing could pass the limit. */
const AMPLE_BYTES = 4 * 1024 * 1024 * 1024;

/** Below which free space writes are refused: bytes, or a share of the whole. */
export interface SpaceLimit {
  readonly bytes: number;
  readonly share: number;
}

/** As configured: a number of bytes, or percents of the whole. */
export function spaceLimitOf({
  unit,
  amount,
}: {
  readonly unit: 'bytes' | 'percent';
  readonly amount: number;
}): SpaceLimit {
  return unit === 'bytes' ? { bytes: amount, share: 0 } : { bytes: 0, share: amount / 100 };
}

/** How much must stay free of a file system of this size. */
export function requiredFreeBytes({ bytes, share }: SpaceLimit, totalBytes: number): number {
  return Math.max(bytes, share * totalBytes);
}

/** Refuses writes to a read-only registry and to a store that is almost full; reads and deletes go on. */
export class SpaceGuard {
  #storage: Storage;
  #limit: SpaceLimit;
  #readOnly: boolean;
  #looked = new Map<Store, { atMs: number; freeBytes: number; neededBytes: number }>();

  constructor(storage: Storage, limit: SpaceLimit, readOnly: boolean) {
    this.#storage = storage;
    this.#limit = limit;
    this.#readOnly = readOnly;
  }

  /** Throws `UNSUPPORTED` (405) in read-only mode. */
  requireWritable(): void {
    if (this.#readOnly)
      throw new RegistryError('UNSUPPORTED', { message: 'the registry is in read-only mode' });
  }

  /** Throws `INSUFFICIENT_STORAGE` (507) where new content would leave less than the limit free. */
  async requireSpace(repo: RepoName, newBytes: number): Promise<void> {
    this.requireWritable();
    if (this.#limit.bytes === 0 && this.#limit.share === 0) return;
    const { freeBytes, neededBytes } = await this.#look(this.#storage.storeOf(repo));
    if (freeBytes - newBytes >= neededBytes) return;
    throw new RegistryError('INSUFFICIENT_STORAGE', {
      retryAfterSeconds: 60,
      detail: { free: freeBytes, required: neededBytes + newBytes },
    });
  }

  async #look(store: Store): Promise<{ freeBytes: number; neededBytes: number }> {
    const last = this.#looked.get(store);
    const nowMs = performance.now();
    if (
      last !== undefined &&
      nowMs - last.atMs < TRUSTED_MS &&
      last.freeBytes > last.neededBytes + AMPLE_BYTES
    ) {
      return last;
    }
    const space = await store.driver.freeSpace();
    const neededBytes = space === null ? 0 : requiredFreeBytes(this.#limit, space.totalBytes);
    const looked = { atMs: nowMs, freeBytes: space?.freeBytes ?? Infinity, neededBytes };
    this.#looked.set(store, looked);
    return looked;
  }
}
