import { WeightedLru } from '#lib/weighted-lru';
import { RegistryError } from '#oci/errors';
import type { RevokeReason, UploadProgress, UploadRef } from '../keeper-contract.ts';

interface Claim {
  readonly revoke: (why: RevokeReason) => void;
  readonly released: PromiseWithResolvers<void>;
}

/** Digests so far that are remembered; one that is forgotten costs reading its upload once more. */
const PROGRESS_MAX = 20_000;
/** How long a holder that was asked to let go may take to write down what it has. */
const REVOKE_TIMEOUT_MS = 5_000;

/**
 * Who writes to which upload, and the digest of what is there so far. Lost with the keeper: then an upload's
 * bytes are read once more when it is finished.
 */
export class UploadLedger {
  #claims = new Map<string, Claim>();
  #progress = new WeightedLru<string, UploadProgress>(PROGRESS_MAX);

  /** Takes the upload, from a holder that has to let go if there is one. */
  async claim(upload: UploadRef, revoke: Claim['revoke']): Promise<UploadProgress | null> {
    const key = keyOf(upload);
    for (let held = this.#claims.get(key); held !== undefined; held = this.#claims.get(key)) {
      held.revoke('wanted');
      if (!(await settledInTime(held.released.promise))) {
        throw new RegistryError('BLOB_UPLOAD_INVALID', {
          status: 409,
          message: 'another request is writing to this upload',
          retryAfterSeconds: 5,
          detail: { session_id: upload.id },
        });
      }
    }
    this.#claims.set(key, { revoke, released: Promise.withResolvers<void>() });
    return this.#progress.get(key) ?? null;
  }

  release(upload: UploadRef, progress: UploadProgress | null): void {
    const key = keyOf(upload);
    if (progress === null) this.#progress.delete(key);
    else this.#progress.set(key, progress);
    const claim = this.#claims.get(key);
    this.#claims.delete(key);
    claim?.released.resolve();
  }

  /** Ends an upload for good. */
  forget(upload: UploadRef): void {
    this.release(upload, null);
  }

  /** Whether the upload is claimed by somebody. */
  isClaimed(upload: UploadRef): boolean {
    return this.#claims.has(keyOf(upload));
  }
}

function keyOf(upload: UploadRef): string {
  return `${upload.repo} ${upload.id}`;
}

async function settledInTime(promise: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, REVOKE_TIMEOUT_MS, false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
