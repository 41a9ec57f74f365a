import { RegistryError } from '#oci/errors';
import type { Keeper, UploadRef } from './keeper/keeper-contract.ts';

/** How far ahead of its bytes an upload of unknown length asks, so that not each piece has to. */
const AHEAD_BYTES = 8 * 1024 * 1024;

/** How far one upload may grow under the quotas of its repository, asked for before its bytes are taken. */
export class UploadAllowance {
  #upload: UploadRef;
  #keeper: Keeper;
  #grantedBytes = 0;

  constructor(upload: UploadRef, keeper: Keeper) {
    this.#upload = upload;
    this.#keeper = keeper;
  }

  /** Settles when the upload may grow to this size; throws `DENIED` when a quota has no room for it. */
  async require(sizeBytes: number, aheadBytes = AHEAD_BYTES): Promise<void> {
    if (sizeBytes <= this.#grantedBytes && sizeBytes > 0) return;
    this.#grantedBytes = await this.#keeper.reserveUpload(this.#upload, sizeBytes, sizeBytes + aheadBytes);
  }
}

/** Whether an error says that a quota has no room. */
export function isQuotaRefusal(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'DENIED' && error.detail?.quota !== undefined;
}
