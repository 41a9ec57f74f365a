/**
 * One sweep of garbage. It reads what may be garbage (candidates), never the store, unless a full sweep is asked for.
 *
 * A blob's bytes go in three steps: a tombstone (it counts as absent, so that clients upload it again), a grace
 * (clients that saw it before may still push the manifest that needs it: that takes the tombstone away), the removal
 * under the blob's lock, when nothing needs it. What is younger than the delay is never touched, so a push in flight
 * has that long. Times that lie in the future count as now: a clock that jumped back must not keep garbage for ever,
 * and one that jumped forward is held against the file's own time.
 */
import type { Logger } from '#lib/logger';
import { UPLOADS, WHOLE_REPOSITORY } from '#metadata';
import type { CandidateRow, IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import { isDigest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { garbageReason, isBlobInUse } from '#registry';
import type { LocalKeeper } from '#registry';
import type { Storage, Store } from '#storage';
import type { TaskContext } from '../scheduler.ts';
import type { Time } from '../time.ts';
import type { GcSettings, UntaggedKeeper } from './gc-rules.ts';

export interface SweepParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  readonly time: Time;
  readonly store: Store;
  readonly settings: GcSettings;
  readonly keepUntagged: UntaggedKeeper;
  /** When this process buried what, and when it began, by the clock that only runs forward. */
  readonly buriedMs: Map<string, number>;
  readonly startedMs: number;
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
}

const PAGE = 200;
/** Indexes of indexes go one level in a round; deeper nests wait for the next sweep. */
const ROUNDS_MAX = 16;
/** The longest time between a tombstone and the removal; with a shorter delay, that. */
const GRACE_MS_MAX = 10 * 60_000;

export function emptyReport(): SweepReport {
  return { manifests: 0, blobs: 0, freedBytes: 0, uploads: 0, repositories: 0, buried: 0 };
}

/** Works through the candidates that are old enough, then through the tombstones whose grace is over. */
export async function sweep(parts: SweepParts, context: TaskContext, report: SweepReport): Promise<void> {
  await parts.index.clampTimes(parts.time.nowMs());
  for (let round = 0; round < ROUNDS_MAX && !context.signal.aborted; round += 1) {
    const before = report.manifests;
    await judgeAll(parts, context, report);
    // What a removed manifest held is garbage of the same age, and is looked at in the same sweep.
    if (report.manifests === before || parts.settings.dryRun) break;
  }
  await removeBuried(parts, context, report);
}

async function judgeAll(parts: SweepParts, context: TaskContext, report: SweepReport): Promise<void> {
  const { index, storage, store, settings, time } = parts;
  const dueMs = Math.min(settings.delayMs, settings.manifestDelayMs);
  let after: CandidateRow | null = null;
  for (;;) {
    const page: CandidateRow[] = await index.listCandidates({
      beforeMs: time.nowMs() - dueMs,
      after,
      limit: PAGE,
    });
    for (const candidate of page) {
      if (context.signal.aborted) return;
      if (storage.storeOf(candidate.repo) === store) await judge(candidate, parts, context, report);
      await context.pause();
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

async function judge(
  candidate: CandidateRow,
  parts: SweepParts,
  context: TaskContext,
  report: SweepReport,
): Promise<void> {
  const { repo, what, sinceMs } = candidate;
  let done: boolean;
  if (what === UPLOADS) done = await removeUploads(repo, parts, report);
  else if (what === WHOLE_REPOSITORY) done = await noteAll(repo, parts, context);
  else done = await judgeDigest({ repo, digest: what, sinceMs }, parts, report);
  if (done && !parts.settings.dryRun) await parts.index.removeCandidates([candidate]);
}

/** Gives whether the candidate is dealt with; a manifest or blob that is not old enough is looked at again. */
async function judgeDigest(
  candidate: { readonly repo: RepoName; readonly digest: Digest; readonly sinceMs: number },
  parts: SweepParts,
  report: SweepReport,
): Promise<boolean> {
  const { repo, digest, sinceMs } = candidate;
  const { index, keeper, settings, time } = parts;
  const ageMs = time.nowMs() - sinceMs;
  const rules = settings.rulesOf(repo);
  const reason = await garbageReason(index, repo, digest, rules);
  if (reason !== null) {
    if (ageMs < settings.manifestDelayMs) return false;
    if (reason === 'deleteUntagged' && (await parts.keepUntagged(repo, digest))) return false;
    logDecision(parts, repo, digest, reason);
    report.manifests += 1;
    if (!settings.dryRun) await keeper.collectManifest(repo, digest, rules, sinceMs);
    return true;
  }
  if (await isBlobInUse(index, repo, digest)) return true;
  if (ageMs < settings.delayMs || parts.keeper.isRecent(repo, digest, settings.delayMs)) return false;
  return bury(repo, digest, parts, report);
}

async function bury(
  repo: RepoName,
  digest: Digest,
  parts: SweepParts,
  report: SweepReport,
): Promise<boolean> {
  const { index, storage, settings, time, logger } = parts;
  const stat = await storage.repository(repo).statBlob(digest);
  if (stat === null) return true;
  const nowMs = time.nowMs();
  // A file that is younger than its row, or from the future, was written again: look later.
  if (stat.modifiedMs > nowMs - settings.delayMs && stat.modifiedMs <= nowMs) return false;
  report.buried += 1;
  if (settings.dryRun) {
    report.blobs += 1;
    report.freedBytes += stat.sizeBytes;
    logger.info(
      { module: 'gc', repository: repo, digest, decision: 'delete', 'dry-run': true },
      'unreferenced blob',
    );
    return false;
  }
  await index.addTombstones([{ repo, digest, sinceMs: nowMs }]);
  parts.buriedMs.set(`${repo} ${digest}`, time.elapsedMs());
  return true;
}

async function removeBuried(parts: SweepParts, context: TaskContext, report: SweepReport): Promise<void> {
  const { index, storage, keeper, settings, time, store, logger } = parts;
  const graceMs = parts.serving ? Math.min(settings.delayMs, GRACE_MS_MAX) : 0;
  const due = await index.listTombstones({
    beforeMs: time.nowMs() - graceMs,
    limit: Number.MAX_SAFE_INTEGER,
  });
  for (const { repo, digest } of due) {
    if (context.signal.aborted) return;
    if (storage.storeOf(repo) !== store || settings.dryRun) continue;
    // By both clocks; what an earlier process buried counts from our start.
    const buriedMs = parts.buriedMs.get(`${repo} ${digest}`) ?? parts.startedMs;
    if (time.elapsedMs() - buriedMs < graceMs) continue;
    parts.buriedMs.delete(`${repo} ${digest}`);
    const sizeBytes = (await storage.repository(repo).statBlob(digest))?.sizeBytes ?? 0;
    if (await keeper.collectBlob(repo, digest)) {
      report.blobs += 1;
      report.freedBytes += sizeBytes;
      logger.debug({ module: 'gc', repository: repo, digest }, 'blob removed');
    }
    await context.pause();
  }
}

/** Removes uploads that nobody has written to for the delay; gives whether none is left. */
async function removeUploads(repo: RepoName, parts: SweepParts, report: SweepReport): Promise<boolean> {
  const { storage, keeper, settings, time } = parts;
  let left = 0;
  for await (const id of storage.repository(repo).listUploads()) {
    const upload = { repo, id };
    if (settings.dryRun) continue;
    if (await keeper.collectUpload(upload, time.nowMs() - settings.delayMs)) report.uploads += 1;
    else left += 1;
  }
  return left === 0;
}

/** Notes every blob of a repository that nothing needs as a candidate, with the age that its file has. */
export async function noteAll(repo: RepoName, parts: SweepParts, context: TaskContext): Promise<boolean> {
  const { storage, index } = parts;
  const store = storage.repository(repo);
  let found: CandidateRow[] = [];
  for await (const digest of store.listBlobs()) {
    if (context.signal.aborted) return false;
    if (!isDigest(digest) || (await isHeld(index, repo, digest))) continue;
    const stat = await store.statBlob(digest);
    if (stat !== null)
      found.push({ repo, what: digest, sinceMs: Math.min(stat.modifiedMs, parts.time.nowMs()) });
    if (found.length >= PAGE) {
      await index.addCandidates(found);
      found = [];
    }
    await context.pause();
  }
  await index.addCandidates([...found, { repo, what: UPLOADS, sinceMs: 0 }]);
  return true;
}

/** Blobs in use, and manifests with a tag or a parent: nothing to look at. */
async function isHeld(index: IndexWriter, repo: RepoName, digest: Digest): Promise<boolean> {
  const manifest = await index.findManifest(repo, { kind: 'digest', digest });
  if (manifest === null) return isBlobInUse(index, repo, digest);
  const rules = { deleteUntagged: true, deleteReferrers: true };
  return (await garbageReason(index, repo, digest, rules)) === null;
}

function logDecision(parts: SweepParts, repo: RepoName, digest: Digest, reason: string): void {
  const { logger, settings } = parts;
  logger.info(
    {
      module: 'gc',
      repository: repo,
      reference: digest,
      digest,
      decision: 'delete',
      reason,
      'dry-run': settings.dryRun,
    },
    reason === 'deleteUntagged' ? 'removed untagged manifest' : 'removed manifest without reference',
  );
}
