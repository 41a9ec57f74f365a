import type { BlobRow, EntryRow, Hold, NewManifest, NewTagEvent } from '#metadata';
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { ManifestPush } from '../keeper-contract.ts';
import type { RepositoryWatch } from '../removal/repository-watch.ts';

/** One change asked of a repository. */
export type Operation =
  | { readonly kind: 'push'; readonly push: ManifestPush; readonly restores?: boolean }
  /** `by` is the name of who asks. */
  | { readonly kind: 'deleteTag'; readonly tag: Tag; readonly by: string }
  /** Refused where the manifest has more than `tagsMax` tags. `purges`: as the first step of a purge. */
  | {
      readonly kind: 'deleteManifest';
      readonly digest: Digest;
      readonly tagsMax: number;
      readonly by: string;
      readonly purges: boolean;
    }
  /** Removes a manifest below a purged one, if nothing but that listed it. */
  | { readonly kind: 'purgeChild'; readonly digest: Digest; readonly root: Digest }
  /** Removes the bytes of a blob below a purged manifest, if nothing else needs them. */
  | { readonly kind: 'purgeBlob'; readonly digest: Digest; readonly root: Digest }
  /** Makes a held blob that nothing uses absent, if it is not so already. */
  | { readonly kind: 'hideHeld'; readonly digest: Digest }
  /** Ends a hold: what was kept absent for it goes as any garbage does. */
  | { readonly kind: 'releaseHold'; readonly digest: Digest; readonly root: Digest }
  | { readonly kind: 'deleteBlob'; readonly digest: Digest }
  /** Marks a blob as about to be removed; nothing happens when something needs it, or when it was noted again. */
  | { readonly kind: 'buryBlob'; readonly digest: Digest; readonly sinceMs: number }
  /** Removes a manifest that is still garbage by these rules; nothing happens when it is not. */
  | {
      readonly kind: 'collectManifest';
      readonly digest: Digest;
      readonly rules: GarbageRules;
      readonly sinceMs: number;
      /** Asked when its turn comes: whether a rule keeps it all the same. */
      readonly isKept: () => Promise<boolean>;
    }
  /** Removes tags that a judgement found to be in excess, as far as it holds still; see `plan-retire.ts`. */
  | {
      readonly kind: 'retire';
      readonly tags: readonly TagToRetire[];
      readonly watch: RepositoryWatch;
      /** Hears which tags go, before they do; the last call counts. */
      readonly onPlan: (tags: readonly Tag[]) => void;
    }
  /** Takes a manifest whose file is gone out of index.json; nothing happens when the file is there again. */
  | { readonly kind: 'pruneDead'; readonly digest: Digest }
  /** Removes the bytes of a blob that is still buried; nothing happens when something needs it again. */
  | { readonly kind: 'collectBlob'; readonly digest: Digest }
  /** Makes a repository with nothing in it no repository any more. */
  | { readonly kind: 'removeEmpty'; readonly isOld: (modifiedMs: number) => boolean }
  /** Takes some descriptors out of a repository that is to be removed; `by` is the name of who asked. */
  | { readonly kind: 'clear'; readonly by: string }
  /** Takes in what other tools changed; `unread`: also what a manifest says that could not be read before. */
  | { readonly kind: 'refresh'; readonly unread?: Digest };

/** Operations on what is held, or was. */
export type HeldOperation = Extract<
  Operation,
  { kind: 'purgeChild' | 'purgeBlob' | 'hideHeld' | 'releaseHold' }
>;

/** When a manifest is garbage (zot's retention policy of its repository). */
export interface GarbageRules {
  /** One that has no tag, no subject, and that no index lists. */
  readonly deleteUntagged: boolean;
  /** One whose subject is not in the repository. */
  readonly deleteReferrers: boolean;
}

/** A tag that is to go, as it was when that was decided. */
export interface TagToRetire {
  readonly tag: Tag;
  readonly digest: Digest;
  /** Whether a pull since then would keep it. */
  readonly isKeptByPull: boolean;
}

/** What an operation does to the repository, worked out before anything is written. */
export interface Plan {
  /** A push of a manifest that index.json did not list. */
  readonly isFirstPush: boolean;
  /** Descriptors that leave index.json. */
  readonly removedEntries: readonly EntryRow[];
  /** Descriptors that join it, at the end and in order. */
  readonly addedEntries: readonly Omit<EntryRow, 'position'>[];
  readonly addedManifests: readonly NewManifest[];
  readonly removedManifests: readonly Digest[];
  /** A manifest's bytes, to be durable before index.json names it. */
  readonly manifestBytes: { readonly digest: Digest; readonly bytes: Buffer } | null;
  /** Blobs found on the store that the index did not know. */
  readonly foundBlobs: readonly BlobRow[];
  /** Files to remove once nothing names them any more. */
  readonly removedFiles: readonly Digest[];
  /** The bytes of those files, where they were looked at. */
  readonly freedBytes: number;
  /** What may be garbage afterwards. */
  readonly candidates: readonly { readonly what: Digest; readonly sinceMs: number }[];
  /** The repository goes as a whole; its batch holds nothing else that changes it. */
  readonly removesRepository: boolean;
  /** Blobs that count as absent from now on, with the times of their files; those that are held stay on the store. */
  readonly buried: readonly {
    readonly digest: Digest;
    readonly modifiedMs: number;
    readonly held?: boolean;
  }[];
  /** Buried blobs that are needed after all. */
  readonly revived: readonly Digest[];
  /** What the history of tags tells of it, written before anything is changed. */
  readonly events: readonly NewTagEvent[];
  /** What must stay so that it can be undone. */
  readonly holds: readonly Hold[];
}

export const NO_CHANGE: Plan = {
  isFirstPush: false,
  removedEntries: [],
  addedEntries: [],
  addedManifests: [],
  removedManifests: [],
  manifestBytes: null,
  foundBlobs: [],
  removedFiles: [],
  freedBytes: 0,
  candidates: [],
  removesRepository: false,
  buried: [],
  revived: [],
  events: [],
  holds: [],
};

/** What an operation reads and changes; operations that touch each other's keys are not planned together. */
export interface OperationKeys {
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** What it changes in a way that does not matter to others who share it, and does to all else. */
  readonly shares?: readonly string[];
}

/**
 * Chooses, from the front of a queue, operations that can be planned against one state of the index: none reads
 * or changes what another of them changes. The order of those that touch each other is kept.
 */
export class BatchChooser {
  #reads = new Set<string>();
  #writes = new Set<string>();
  #shares = new Set<string>();

  /** Whether the operation may join; if not, nothing that touches its keys may join after it either. */
  admit({ reads, writes, shares = [] }: OperationKeys): boolean {
    const free =
      writes.every((key) => !this.#writes.has(key) && !this.#shares.has(key) && !this.#reads.has(key)) &&
      reads.every((key) => !this.#writes.has(key) && !this.#shares.has(key)) &&
      shares.every((key) => !this.#writes.has(key) && !this.#reads.has(key));
    for (const key of reads) this.#reads.add(key);
    for (const key of writes) this.#writes.add(key);
    for (const key of shares) this.#shares.add(key);
    return free;
  }
}
