/**
 * What may be garbage. Candidates are noted when something loses what held it, so that a sweep reads these and not
 * the store; tombstones say that bytes are about to be removed. Both are part of the index: losing them loses
 * nothing, since a full sweep finds garbage again.
 */
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';

/** Names what to look at beside a single digest. */
export const WHOLE_REPOSITORY = '*';
export const UPLOADS = 'uploads';

/**
 * The time of a tombstone on bytes that are held: the blob counts as absent, and nothing removes it until somebody
 * gives it a time. `listTombstones` passes it over, and no move of the clock changes it.
 */
export const HELD_SINCE_MS = -2;

export interface CandidateRow {
  readonly repo: RepoName;
  /** A blob or manifest, all of the repository, or its uploads. */
  readonly what: Digest | typeof WHOLE_REPOSITORY | typeof UPLOADS;
  /** Since when it may be garbage, milliseconds since the epoch; 0: it is only to be looked at. */
  readonly sinceMs: number;
}

export interface TombstoneRow {
  readonly repo: RepoName;
  readonly digest: Digest;
  readonly sinceMs: number;
  /** When the file was last written as it was marked; another time says that somebody wrote it again. */
  readonly modifiedMs: number;
}

export interface Garbage {
  /** Notes candidates; one that is noted already keeps the later time. */
  addCandidates(candidates: readonly CandidateRow[]): Promise<void>;
  /** Candidates of before a time, the oldest first, behind `after`. */
  listCandidates(options: {
    readonly beforeMs: number;
    readonly after: CandidateRow | null;
    readonly limit: number;
  }): Promise<CandidateRow[]>;
  findCandidate(repo: RepoName, what: CandidateRow['what']): Promise<CandidateRow | null>;
  /** Moves all times, after the clock was set forward by that much, so that nothing aged by it. */
  shiftTimes(byMs: number): Promise<void>;
  /** Times that lie in the future, after a clock jumped back, become `nowMs`. */
  clampTimes(nowMs: number): Promise<void>;
  /** Takes candidates off the list, unless they were noted again since. */
  removeCandidates(candidates: readonly CandidateRow[]): Promise<void>;
  /** Marks a blob as about to be removed. */
  addTombstones(tombstones: readonly TombstoneRow[]): Promise<void>;
  /** Tombstones of before a time, the oldest first, behind `after`. */
  listTombstones(options: {
    readonly beforeMs: number;
    readonly after: TombstoneRow | null;
    readonly limit: number;
  }): Promise<TombstoneRow[]>;
  findTombstone(repo: RepoName, digest: Digest): Promise<TombstoneRow | null>;
  removeTombstones(repo: RepoName, digests: readonly Digest[]): Promise<void>;
  /** Marks the blobs of another repository as those of this one are marked. */
  copyTombstones(repo: RepoName, to: RepoName): Promise<void>;
  /** Takes the tombstones of a repository away from what its manifests refer to. */
  reviveReferenced(repo: RepoName): Promise<void>;
}
