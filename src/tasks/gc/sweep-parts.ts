import type { AuditLog } from '#lib/audit-log';
import type { Logger } from '#lib/logger';
import type { IndexWriter } from '#metadata';
import type { LocalKeeper } from '#registry';
import type { Storage, Store } from '#storage';
import type { GcSettings, UntaggedKeeper } from './gc-rules.ts';
import type { SweepClock } from './sweep-clock.ts';

/** What a sweep of one store works with. */
export interface SweepParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  /** Hears of everything that is removed; of a dry run nothing. */
  readonly audit: AuditLog;
  readonly clock: SweepClock;
  readonly store: Store;
  readonly settings: GcSettings;
  readonly keepUntagged: UntaggedKeeper;
  /** Whether clients are served; if not, no push is in flight and no grace is needed. */
  readonly serving: boolean;
}

export interface SweepReport {
  manifests: number;
  blobs: number;
  freedBytes: number;
  uploads: number;
  repositories: number;
  /** Blobs marked in this sweep, whose bytes go after the grace. */
  buried: number;
  /** What could not be judged or removed, and is tried again by the next sweep. */
  failed: number;
}

export function emptyReport(): SweepReport {
  return { manifests: 0, blobs: 0, freedBytes: 0, uploads: 0, repositories: 0, buried: 0, failed: 0 };
}
