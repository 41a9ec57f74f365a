/**
 * The history of tags, and the holds that keep what lost its tag or was deleted until its undo time is over. Part of
 * the records, since it exists nowhere else. `history-contract.suite.ts` is the suite that every implementation must
 * pass.
 *
 * Invariants: (1) the events of a tag have strictly rising times, whatever the clock does. (2) An event is written
 * before what it tells of is done, and is pending until it is confirmed; of each tag at most the newest event is
 * pending. (3) A tag has at most `TAG_EVENTS_MAX` events, the newest.
 *
 * What a power cut may lose: events and holds that were appended without `durable`, of about the last second. Content
 * is never lost by that; of what lost its tag just then nobody knows any more that it is to be held.
 */
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';

/** What became of a tag. `manifestDeleted`: it went with its manifest. The last three leave no tag. */
export type TagEventKind = 'created' | 'moved' | 'restored' | 'deleted' | 'manifestDeleted' | 'purged';

export interface NewTagEvent {
  readonly repo: RepoName;
  readonly tag: Tag;
  readonly kind: TagEventKind;
  /** What the tag names since then; where it is gone, what it named before. */
  readonly digest: Digest;
  /** What it named before; `null` where it did not exist. */
  readonly previous: Digest | null;
  /** Of `digest`. */
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** The name of who did it; '' for somebody without a name, `retention` and `gc` for background work. */
  readonly by: string;
}

export interface TagEvent extends NewTagEvent {
  readonly atMs: number;
}

/** Names an event. */
export interface TagEventKey {
  readonly repo: RepoName;
  readonly tag: Tag;
  readonly seq: number;
}

export interface PendingTagEvent extends TagEventKey {
  readonly kind: TagEventKind;
  readonly digest: Digest;
}

/** A digest that is held for the sake of a manifest, which may be itself. */
export interface Hold {
  readonly repo: RepoName;
  readonly digest: Digest;
  /** The manifest that lost its tag or was deleted. */
  readonly root: Digest;
  /** Since when, milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly sizeBytes: number;
  /** The media type of a manifest; `null`: a blob. */
  readonly mediaType: string | null;
}

/** A tag that is gone, with its last event. */
export interface GoneTag {
  readonly repo: RepoName;
  readonly tag: Tag;
  readonly sinceMs: number;
}

export interface HistoryBatch {
  readonly events: readonly NewTagEvent[];
  readonly holds: readonly Hold[];
  readonly nowMs: number;
  /** Whether the batch must survive a power cut. */
  readonly durable: boolean;
  /** Events of earlier batches that have happened, confirmed in the same go. */
  readonly confirmed: readonly TagEventKey[];
}

/** Times between which events are listed, both excluded, milliseconds since the epoch. */
export interface EventRange {
  readonly beforeMs: number;
  readonly sinceMs: number;
  readonly digest: Digest | null;
  readonly limit: number;
}

/** Events kept for one tag; older ones go. */
export const TAG_EVENTS_MAX = 1000;

export interface History {
  /** Writes holds, then events, which are pending. A hold that is there already keeps the later time. */
  append(batch: HistoryBatch): Promise<TagEventKey[]>;
  confirm(events: readonly TagEventKey[]): Promise<void>;
  /** Removes pending events: what they tell of did not happen. */
  takeBack(events: readonly TagEventKey[]): Promise<void>;
  /** Repositories with pending events: as many as were changed when a process died, and as in the second before. */
  pendingRepositories(): Promise<RepoName[]>;
  listPending(repo: RepoName): Promise<PendingTagEvent[]>;

  /** Events of a tag, the newest first. */
  listEvents(repo: RepoName, tag: Tag, range: EventRange): Promise<TagEvent[]>;
  /** Tags that are gone since before a time, the oldest first, behind `after`. */
  listGone(page: { beforeMs: number; after: GoneTag | null; limit: number }): Promise<GoneTag[]>;
  /** Removes the events of a tag that is gone since then; nothing happens when it is not. */
  forgetTag(gone: GoneTag): Promise<void>;

  isHeld(repo: RepoName, digest: Digest): Promise<boolean>;
  /** Another manifest than `root` for whose sake a digest is held. */
  findOtherRoot(repo: RepoName, digest: Digest, root: Digest): Promise<Digest | null>;
  /** The hold of a digest that says most: one that knows it as a manifest, if there is one. */
  findHold(repo: RepoName, digest: Digest): Promise<Hold | null>;
  /** Holds since before a time, the oldest first, behind `after`. */
  listHolds(page: { beforeMs: number; after: Hold | null; limit: number }): Promise<Hold[]>;
  /** What is held for the sake of a manifest, in digest order. */
  listHoldsOf(
    repo: RepoName,
    root: Digest,
    page: { readonly after: string; readonly limit: number },
  ): Promise<Hold[]>;
  /** Everything held in a repository, each digest once, in digest order: what undo costs there. */
  listHeld(
    repo: RepoName,
    page: { readonly after: string; readonly limit: number },
  ): Promise<{ readonly digest: Digest; readonly sizeBytes: number }[]>;
  /** Removes holds, unless they were renewed since they were read. */
  removeHolds(holds: readonly Hold[]): Promise<void>;

  /** Moves all times, after the clock was set forward by that much. */
  shiftTimes(byMs: number): Promise<void>;
  /** Times that lie in the future, after a clock jumped back, become `nowMs`. Those of events stay. */
  clampTimes(nowMs: number): Promise<void>;
  /** Removes the events of a repository, for one that is about to take its name over. */
  forgetEvents(repo: RepoName): Promise<void>;
  /**
   * Takes events and holds over to another name, which has no events. Not in one go: after a process that died in
   * the middle the call is made again.
   */
  moveRepository(from: RepoName, to: RepoName): Promise<void>;
  close(): Promise<void>;
}
