import type { AuditLog } from '#lib/audit-log';
import type { Logger } from '#lib/logger';
import type { IndexWriter, Records } from '#metadata';
import type { LocalKeeper } from '#registry';
import type { Storage, Store } from '#storage';
import type { SettledRepositories } from '../retention/settled.ts';
import type { GcSettings } from './gc-rules.ts';
import type { SweepClock } from './sweep-clock.ts';

/** What a sweep of one store works with. */
export interface SweepParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly records: Records;
  /** Hears of everything that is removed; of a dry run nothing. */
  readonly audit: AuditLog;
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  readonly clock: SweepClock;
  readonly store: Store;
  readonly settings: GcSettings;
  /** Repositories that retention may pass by; shared by the sweeps of a process. */
  readonly settled: SettledRepositories;
  /** Whether clients are served; if not, no push is in flight and no grace is needed. */
  readonly serving: boolean;
}

export interface SweepReport {
  /** Tags that retention removed. */
  tags: number;
  manifests: number;
  blobs: number;
  freedBytes: number;
  uploads: number;
  repositories: number;
  /** Blobs marked in this sweep, whose bytes go after the grace. */
  buried: number;
  /** What could not be judged or removed, and is tried again by the next sweep. */
  failed: number;
  /** How far collection was behind at worst, milliseconds beyond what is in the course of things; 0: it keeps up. */
  behindMs: number;
}

export function emptyReport(): SweepReport {
  return {
    tags: 0,
    manifests: 0,
    blobs: 0,
    freedBytes: 0,
    uploads: 0,
    repositories: 0,
    buried: 0,
    failed: 0,
    behindMs: 0,
  };
}
