/** What a transfer did so far. */
export interface TransferCounts {
  manifests: number;
  tags: number;
  /** Blobs whose bytes were moved, and these bytes. */
  blobsCopied: number;
  bytesCopied: number;
  /** Blobs that stood where they were wanted, and were proven. */
  blobsPresent: number;
  /** Blobs that were linked to bytes that stood elsewhere. */
  blobsLinked: number;
}

export interface Skipped {
  readonly what: string;
  readonly why: string;
}

/** Skipped things that are named; more are counted. */
const NAMED_MAX = 1000;

/** Counts what a transfer does, and tells from time to time. */
export class Tally {
  readonly counts: TransferCounts = {
    manifests: 0,
    tags: 0,
    blobsCopied: 0,
    bytesCopied: 0,
    blobsPresent: 0,
    blobsLinked: 0,
  };
  readonly skipped: Skipped[] = [];
  skippedCount = 0;
  /** What is being worked on. */
  at = '';
  #onProgress: (tally: Tally) => void;

  /** `onProgress` is called at every step: whoever listens decides how often to say something. */
  constructor(onProgress: (tally: Tally) => void = () => undefined) {
    this.#onProgress = onProgress;
  }

  add(counts: Partial<TransferCounts>): void {
    for (const [name, more] of Object.entries(counts) as [keyof TransferCounts, number][])
      this.counts[name] += more;
    this.#onProgress(this);
  }

  skip(what: string, why: string): void {
    this.skippedCount += 1;
    if (this.skipped.length < NAMED_MAX) this.skipped.push({ what, why });
  }
}
