import type { Logger } from '#lib/logger';
import type { IndexWriter } from '#metadata';
import type { LocalKeeper } from '#registry';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { Storage, Store } from '#storage';
import type { Time } from '../time.ts';
import type { ReadRate } from './read-rate.ts';

/** What a pass over all stored bytes of one store works with. */
export interface ScrubParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  readonly store: Store;
  readonly time: Time;
  /** Settles when the index knows what is on the store. */
  readonly ready: Promise<void>;
  /** One for all stores of a process. */
  readonly rate: ReadRate;
  /** Hears of each image that was judged. */
  readonly onImage: (image: ImageVerdict) => void;
}

/** Why an image is not whole: a content with what is wrong with it, in zot's words where it has them. */
export interface AffectedContent {
  /** '' where `index.json` itself cannot be used. */
  readonly digest: Digest | '';
  readonly error: string;
}

/** One entry of an `index.json`. */
export interface ImageVerdict {
  readonly repository: RepoName;
  /** '' for an entry without a tag. */
  readonly tag: string;
  readonly digest: Digest | '';
  readonly status: 'ok' | 'affected';
  readonly affected: readonly AffectedContent[];
}

export interface ScrubCounts {
  repositories: number;
  /** Manifests and blobs that were looked at. */
  contents: number;
  bytesRead: number;
  images: number;
  affected: number;
  /** Contents that were found damaged. */
  damaged: number;
  /** Of the damaged ones, those that were replaced by sound bytes. */
  mended: number;
  /** What could not be looked at. */
  failed: number;
}

export function emptyCounts(): ScrubCounts {
  return {
    repositories: 0,
    contents: 0,
    bytesRead: 0,
    images: 0,
    affected: 0,
    damaged: 0,
    mended: 0,
    failed: 0,
  };
}

/** Work is broken off because background work stops; it goes on where it was. */
export class ScrubStopped extends Error {}
