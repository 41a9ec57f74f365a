/**
 * The records: what exists nowhere else. Losing them loses pull counts and times, API keys, sessions and
 * the history of tags, and nothing else.
 * `records-contract.suite.ts` is the suite that every implementation must pass.
 */
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { Tag } from '#oci/reference';
import type { Accounts } from './accounts-contract.ts';
import type { DamageList } from './damage-contract.ts';
import type { Favourites } from './favourites-contract.ts';
import type { History } from './history-contract.ts';
import type { RepositoryMoves } from './repository-changes-contract.ts';

export interface PullCount {
  readonly repo: RepoName;
  readonly digest: Digest;
  readonly pulls: number;
  readonly lastPullMs: number;
}

export interface PushRecord {
  readonly repo: RepoName;
  readonly digest: Digest;
  /** Tags that this push created or moved. */
  readonly tags: readonly Tag[];
  readonly pushedMs: number;
  /** The name of who pushed; '' for somebody without a name, absent where it is not known. */
  readonly by?: string;
  /** The repository did not list it before: what is remembered of an earlier life of it is no push of this one. */
  readonly isNew?: boolean;
}

export interface ManifestStatistics {
  readonly pulls: number;
  readonly lastPullMs: number | null;
  /** The first push of this digest, as zot counts. */
  readonly firstPushMs: number | null;
  /** The name of who made that push; '' for somebody without a name, `null` where it is not known. */
  readonly pushedBy: string | null;
}

/** What another registry knows of a manifest, or of a tag. */
export interface EarlierRecords {
  readonly manifests: readonly (ManifestStatistics & { readonly repo: RepoName; readonly digest: Digest })[];
  readonly tags: readonly { readonly repo: RepoName; readonly tag: Tag; readonly sinceMs: number }[];
}

export interface Records {
  /** API keys, sessions and groups, which stand in the same file. */
  readonly accounts: Accounts;
  /** What is known to be damaged. */
  readonly damage: DamageList;
  /** Starred and bookmarked repositories. */
  readonly favourites: Favourites;
  /** The history of tags, in the same file. */
  readonly history: History;
  /** Whole repositories that are being renamed or removed. */
  readonly moves: RepositoryMoves;
  /** Adds counts gathered since the last call. */
  addPulls(counts: readonly PullCount[]): Promise<void>;
  addPushes(pushes: readonly PushRecord[]): Promise<void>;
  /**
   * Takes over what was counted before these records began. Where something is known here too, the higher count, the
   * later pull and the earlier push, with who made it, hold, so that the same may be taken over again.
   */
  takeOver(earlier: EarlierRecords): Promise<void>;
  /** Forgets the statistics of manifests that are gone. */
  forget(manifests: readonly { readonly repo: RepoName; readonly digest: Digest }[]): Promise<void>;
  statistics(repo: RepoName, digest: Digest): Promise<ManifestStatistics>;
  /** When a tag name first appeared, milliseconds since the epoch; it stays when the tag moves (zot). */
  tagSinceMs(repo: RepoName, tag: Tag): Promise<number | null>;
  /** Since when pulls are counted at all: when these records were begun, milliseconds since the epoch. */
  beganMs(): Promise<number>;
  probe(): Promise<void>;
  close(): Promise<void>;
}
