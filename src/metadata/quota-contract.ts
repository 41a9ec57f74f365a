/**
 * How many bytes stand under prefixes of repository names: each digest once for each prefix, however many repositories
 * below it hold it. Kept with each change of the blobs that are present, in the same transaction; part of the index, so
 * that losing it loses nothing but the time to count again.
 */
import type { RepoName } from '#oci/repo-name';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { Digest } from '#oci/digest';

/**
 * `new`: only what the index knew was counted; `unsure`: it was compared with the files once, but the process that kept
 * it did not end in order; `compared`: it is exact.
 */
export type QuotaCertainty = 'new' | 'unsure' | 'compared';

export interface PrefixUsage {
  readonly prefix: RepoPrefix;
  readonly usedBytes: number;
  readonly certainty: QuotaCertainty;
}

export interface QuotaCounts {
  /**
   * Counts for exactly these prefixes from now on. Settles when the blobs that the index knows are counted; changes
   * meanwhile are counted too.
   */
  setCountedPrefixes(prefixes: readonly RepoPrefix[]): Promise<void>;
  listPrefixUsage(): Promise<PrefixUsage[]>;
  /** Bytes under a prefix that is counted; 0 for any other. */
  prefixUsedBytes(prefix: RepoPrefix): Promise<number>;
  /** Whether a digest is among the bytes of a prefix. */
  isUnderPrefix(prefix: RepoPrefix, digest: Digest): Promise<boolean>;
  /** Notes, durably, how far counts can be trusted by whoever opens the index next. */
  setCertainty(prefixes: readonly RepoPrefix[], certainty: QuotaCertainty): Promise<void>;
  /** Blobs of a repository in digest order behind `after`. */
  listBlobs(
    repo: RepoName,
    page: { readonly after: Digest | ''; readonly limit: number },
  ): Promise<{ readonly digest: Digest; readonly sizeBytes: number }[]>;
  /** The first repository behind `after`, under the prefix, that has blobs; `null` when there is none. */
  nextBlobRepository(prefix: RepoPrefix, after: RepoName | ''): Promise<RepoName | null>;
}
