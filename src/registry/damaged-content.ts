import type { IndexReader } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { referenceText } from '#oci/reference';
import type { Reference } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { Storage } from '#storage';
import type { Keeper } from './keeper/keeper-contract.ts';
import { reachableStat, versionOf } from './keeper/damage/examination.ts';

export interface DamagedContentParts {
  readonly storage: Storage;
  readonly index: IndexReader;
  readonly keeper: Keeper;
  readonly report: (problem: string, error: unknown) => void;
}

/**
 * Content that is damaged, as those who serve see it: refused as absent, with words that say why, so that a client
 * that has it pushes it again, which mends it. Nothing here is asked for content that is sound.
 */
export class DamagedContent {
  #parts: DamagedContentParts;

  constructor(parts: DamagedContentParts) {
    this.#parts = parts;
  }

  /**
   * Tells the keeper of a content that cannot be served as it should be; gives whether it is sound after all. Other
   * processes and requests know of it afterwards.
   */
  async note(repo: RepoName, digest: Digest): Promise<boolean> {
    try {
      return (await this.#parts.keeper.lookAt(repo, digest)) === true;
    } catch (error) {
      this.#parts.report(`the damage of ${digest} in ${repo} could not be noted`, error);
      return false;
    }
  }

  /** Whether a content that is known to be damaged has been made sound by somebody since it was looked at. */
  async isMended(repo: RepoName, digest: Digest): Promise<boolean> {
    const row = await this.#parts.index.findDamage(repo, digest);
    if (row === null) return true;
    // A device or a right that failed may be back, which shows at no file.
    if (row.kind === 'unreadable') return this.note(repo, digest);
    const stat = await reachableStat(this.#parts.storage.repository(repo), digest);
    if (stat === null || versionOf(stat) === row.version) return false;
    return this.note(repo, digest);
  }
}

const REMEDY = 'its stored bytes are damaged; pushing it again mends it';

/** 404, as for a blob that is not here: a client that has it uploads it again. */
export function damagedBlob(digest: Digest): RegistryError {
  return new RegistryError('BLOB_UNKNOWN', {
    message: `blob unknown to registry: ${REMEDY}`,
    detail: { digest, reason: 'damaged' },
  });
}

/** 404, as for a manifest that is not here: a client that has it pushes it again. */
export function damagedManifest(reference: Reference, digest: Digest, cause?: unknown): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', {
    message: `manifest unknown: ${REMEDY}`,
    detail: { reference: referenceText(reference).slice(0, 200), digest, reason: 'damaged' },
    ...(cause === undefined ? {} : { cause }),
  });
}
