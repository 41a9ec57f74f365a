import type { StoreConfig } from '#config';
import type { RepoName } from '#oci/repo-name';
import type { GarbageRules } from '#registry';
import { retentionSettings } from '../retention/settings.ts';
import type { RetentionSettings } from '../retention/settings.ts';

/** The settings of collection in one store, compiled once. */
export interface GcSettings {
  readonly enabled: boolean;
  /** How old garbage must be. */
  readonly delayMs: number;
  /** How old untagged manifests and dangling referrers must be (`retention.delay`). */
  readonly manifestDelayMs: number;
  readonly intervalMs: number;
  /** Minutes of the day in UTC between which a sweep may start; `null`: any time. */
  readonly window: { readonly fromMinute: number; readonly toMinute: number } | null;
  /** Decide and log, and change nothing. */
  readonly dryRun: boolean;
  readonly retention: RetentionSettings;
  rulesOf(repo: RepoName): GarbageRules;
}

type StoreSettings = Pick<StoreConfig, 'gc' | 'gcDelay' | 'gcInterval' | 'gcTimeWindow' | 'retention'>;

const DEFAULT_DELAY_MS = 3_600_000;

/** Without a policy that matches, untagged manifests go and dangling referrers stay (zot). */
const DEFAULT_RULES: GarbageRules = { deleteUntagged: true, deleteReferrers: false };

export function gcSettings(store: StoreSettings): GcSettings {
  const retention = retentionSettings(store.retention);
  // Where periodic collection is off, its delay is nothing: a sweep on demand must not take what is in flight.
  const delayMs = store.gc ? store.gcDelay : Math.max(store.gcDelay, DEFAULT_DELAY_MS);
  return {
    enabled: store.gc,
    delayMs,
    manifestDelayMs: store.gc
      ? (store.retention?.delay ?? delayMs)
      : Math.max(store.retention?.delay ?? 0, delayMs),
    intervalMs: store.gcInterval,
    window: readWindow(store.gcTimeWindow),
    dryRun: store.retention?.dryRun ?? false,
    retention,
    rulesOf: (repo) => retention.policyOf(repo)?.garbage ?? DEFAULT_RULES,
  };
}

function readWindow(text: string): GcSettings['window'] {
  const match = /^\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$/.exec(text);
  if (match === null) return null;
  const [, fromHour, fromMinute, toHour, toMinute] = match.map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { fromMinute: fromHour * 60 + fromMinute, toMinute: toHour * 60 + toMinute };
}

/** Whether a sweep may start: in the window, whose end is excluded and which may wrap midnight. */
export function inWindow(window: GcSettings['window'], nowMs: number): boolean {
  if (window === null) return true;
  const minute = Math.floor(nowMs / 60_000) % 1440;
  const { fromMinute, toMinute } = window;
  return fromMinute <= toMinute
    ? minute >= fromMinute && minute < toMinute
    : minute >= fromMinute || minute < toMinute;
}
