import type { Logger } from '#lib/logger';
import type { IndexWriter } from '#metadata';
import type { LocalKeeper, SpaceLimit } from '#registry';
import type { Storage, Store } from '#storage';

/** What a pass over the equal blobs of one store works with. */
export interface PassParts {
  readonly storage: Storage;
  readonly index: Pick<IndexWriter, 'listHolders' | 'listDamagedCopies' | 'whyAbsent'>;
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  readonly store: Store;
  /** Settles when the index knows what is on the store. */
  readonly ready: Promise<void>;
  /** Below which free space no copies are made. */
  readonly spaceLimit: SpaceLimit;
}

export interface PassReport {
  /** Blobs that were given the bytes of an equal one. */
  linked: number;
  /** Bytes that linking let go; what other programs hold of them is not known. */
  savedBytes: number;
  /** Blobs that were given bytes of their own. */
  copied: number;
  copiedBytes: number;
  /** Blobs whose bytes were found not to have their digest. */
  damaged: number;
  /** Of the damaged ones, those that have whole bytes again. */
  mended: number;
  /** Blobs that could not be dealt with, and are tried again by the next pass. */
  failed: number;
}

export function emptyPassReport(): PassReport {
  return { linked: 0, savedBytes: 0, copied: 0, copiedBytes: 0, damaged: 0, mended: 0, failed: 0 };
}

/** One digest of a pass: its holders are given one by one. */
export interface DigestRun {
  visit(repo: Parameters<Storage['repository']>[0]): Promise<void>;
  /** When all holders were given. */
  end(): Promise<void>;
}
