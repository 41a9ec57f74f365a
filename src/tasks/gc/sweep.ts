/**
 * One sweep of garbage. It reads what may be garbage (candidates), never the store, unless a full sweep is asked for.
 *
 * A blob's bytes go in three steps: a tombstone (it counts as absent, so that clients upload it again), a grace as
 * long as the delay (clients that saw it before may still push the manifest that needs it: that takes the tombstone
 * away), the removal under the blob's lock, when nothing needs it. What is younger than the delay is never touched,
 * so a push in flight has that long. Each step is decided in the queue of the repository, against its index.json as
 * it is then: what is decided here only says what is worth asking for.
 */
import { UPLOADS, WHOLE_REPOSITORY } from '#metadata';
import type { CandidateRow, TombstoneRow } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { garbageReason, isBlobInUse, isDead, unknownContent } from '#registry';
import type { GarbageReason } from '#registry';
import type { TaskContext } from '../scheduler.ts';
import { RetentionRound } from '../retention/retention-round.ts';
import { UntaggedRetention } from '../retention/untagged.ts';
import { endUndo } from '../undo/end-undo.ts';
import { noteAll } from './note-all.ts';
import type { SweepParts, SweepReport } from './sweep-parts.ts';

const PAGE = 200;
/** Indexes of indexes go one level in a round; deeper nests wait for the next sweep. */
const ROUNDS_MAX = 16;
/** Faults that end a sweep: the store, not what lies in it, is in trouble. */
const FAILED_MAX = 100;

const isNeverKept = async (): Promise<boolean> => false;
const REMOVALS: Readonly<Record<GarbageReason, string>> = {
  deleteUntagged: 'removed untagged manifest',
  deleteReferrers: 'removed manifest without reference',
  staleManifestPrune: 'removed the name of a manifest that is gone',
};

/** One sweep, with what its steps share. */
export class Sweep {
  readonly #parts: SweepParts;
  readonly #context: TaskContext;
  readonly #report: SweepReport;
  readonly #untagged: UntaggedRetention;
  /** Repositories that lost something, and may be empty now. */
  readonly #touched = new Set<RepoName>();
  readonly #warned = new Set<RepoName>();

  constructor(parts: SweepParts, context: TaskContext, report: SweepReport) {
    this.#parts = parts;
    this.#context = context;
    this.#report = report;
    this.#untagged = new UntaggedRetention(parts, context);
  }

  /**
   * Removes the tags that retention does not keep, works through the candidates that are old enough, then through the
   * tombstones whose grace is over.
   */
  async run(): Promise<void> {
    await this.#correctClock();
    if (!this.#parts.settings.dryRun) await endUndo(this.#parts, this.#context);
    await this.#retain();
    try {
      await this.#judgeRounds();
    } finally {
      this.#untagged.close();
    }
    await this.finish();
  }

  /** `gc: false` switches retention off, also for a sweep on demand (zot). */
  async #retain(): Promise<void> {
    if (!this.#parts.settings.enabled) return;
    const round = new RetentionRound(this.#parts, this.#context);
    for await (const repo of round.repositories())
      await this.#isolated(repo, async () => void (this.#report.tags += await round.judge(repo)));
  }

  async #judgeRounds(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX && !this.#context.signal.aborted; round += 1) {
      const before = this.#report.manifests;
      await this.#judgeAll();
      // What a removed manifest held is garbage of the same age, and is looked at in the same sweep.
      if (this.#report.manifests === before || this.#parts.settings.dryRun) break;
    }
  }

  /** Only removes what earlier sweeps marked. */
  async finish(): Promise<void> {
    if (this.#parts.settings.dryRun) return;
    await this.#correctClock();
    await this.#removeBuried();
    for (const repo of this.#touched) {
      if (this.#context.signal.aborted) return;
      await this.#isolated(repo, () => this.#removeIfEmpty(repo));
    }
  }

  #correctClock(): Promise<void> {
    const { clock, index, keeper } = this.#parts;
    return clock.correct({ index, tags: keeper.tags });
  }

  /** When there is something to remove whose grace is not over: the time to wait; `null` when there is nothing. */
  async waitMs(): Promise<number | null> {
    const [next] = await this.#parts.index.listTombstones({ beforeMs: Infinity, after: null, limit: 1 });
    return next === undefined ? null : this.#graceMs;
  }

  get #graceMs(): number {
    return this.#parts.serving ? this.#parts.settings.delayMs : 0;
  }

  async #judgeAll(): Promise<void> {
    const { index, storage, store, settings, clock } = this.#parts;
    const beforeMs = clock.nowMs() - Math.min(settings.delayMs, settings.manifestDelayMs);
    for (let after: CandidateRow | null = null; ;) {
      const page: CandidateRow[] = await index.listCandidates({ beforeMs, after, limit: PAGE });
      for (const candidate of page) {
        if (this.#context.signal.aborted) return;
        if (storage.storeOf(candidate.repo) === store)
          await this.#isolated(candidate.repo, () => this.#judge(candidate));
        await this.#context.pause();
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  /** One repository in trouble does not keep the garbage of others. */
  async #isolated(repo: RepoName, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#report.failed += 1;
      this.#parts.logger.warn({ module: 'gc', repository: repo, error }, 'garbage could not be collected');
      if (this.#report.failed >= FAILED_MAX) throw error;
    }
  }

  async #judge(candidate: CandidateRow): Promise<void> {
    const { repo, what, sinceMs } = candidate;
    const { settings, index } = this.#parts;
    let done: boolean;
    if (what === UPLOADS) done = await this.#removeUploads(repo);
    else if (what === WHOLE_REPOSITORY) done = await this.#noteWhole(repo);
    else done = await this.#judgeDigest(repo, what, sinceMs);
    if (done && !settings.dryRun) await index.removeCandidates([candidate]);
  }

  async #noteWhole(repo: RepoName): Promise<boolean> {
    this.#touched.add(repo);
    return noteAll(repo, this.#parts, this.#context);
  }

  /** Gives whether the candidate is dealt with; a manifest or blob that is not old enough is looked at again. */
  async #judgeDigest(repo: RepoName, digest: Digest, sinceMs: number): Promise<boolean> {
    const { index, keeper, storage, settings, clock } = this.#parts;
    const ageMs = clock.nowMs() - sinceMs;
    const place = { index, holds: keeper.tags, repo };
    const reason = await garbageReason(place, digest, settings.rulesOf(repo));
    if (reason !== null) {
      if (ageMs < settings.manifestDelayMs || (await this.#isUnknown(repo))) return false;
      await this.#collectManifest(repo, digest, { reason, sinceMs });
      // It is noted again, as a blob of that age.
      return false;
    }
    if (await isDead(index, storage.repository(repo), digest)) return this.#pruneDead(repo, digest, ageMs);
    if (await isBlobInUse(index, repo, digest)) return true;
    if (ageMs < settings.delayMs || (await this.#isUnknown(repo))) return false;
    return this.#bury(repo, digest, sinceMs);
  }

  async #collectManifest(
    repo: RepoName,
    digest: Digest,
    { reason, sinceMs }: { readonly reason: GarbageReason; readonly sinceMs: number },
  ): Promise<void> {
    const { keeper, settings } = this.#parts;
    const rules = settings.rulesOf(repo);
    const isKept = reason === 'deleteUntagged' ? await this.#untagged.judge(repo, digest) : isNeverKept;
    if (isKept === null) return;
    const garbage = { digest, rules, sinceMs, isKept };
    if (!settings.dryRun && !(await keeper.garbage.collectManifest(repo, garbage))) return;
    this.#noteManifest(repo, digest, reason);
    this.#report.manifests += 1;
  }

  async #pruneDead(repo: RepoName, digest: Digest, ageMs: number): Promise<boolean> {
    const { keeper, settings } = this.#parts;
    if (ageMs < settings.delayMs) return false;
    if (!settings.dryRun && !(await keeper.garbage.pruneDead(repo, digest))) return false;
    this.#noteManifest(repo, digest, 'staleManifestPrune');
    this.#report.manifests += 1;
    return true;
  }

  async #bury(repo: RepoName, digest: Digest, sinceMs: number): Promise<boolean> {
    const { storage, settings, clock, logger, keeper, index } = this.#parts;
    const stat = await storage.repository(repo).statBlob(digest);
    this.#touched.add(repo);
    if (stat === null) {
      // Removed by somebody else; what is remembered of it must not promise it.
      if (!settings.dryRun) await keeper.garbage.forgetBlob(repo, digest);
      return true;
    }
    // Written again after it was noted. Of a time in the future nothing follows: the note alone decides.
    const ageMs = clock.ageMs(stat.modifiedMs);
    if (ageMs >= 0 && ageMs < settings.delayMs) return false;
    if (await index.isTombstoned(repo, digest)) return true;
    const isHeld = await keeper.tags.isHeld(repo, digest);
    if (settings.dryRun && isHeld) return true;
    if (settings.dryRun) {
      this.#report.blobs += 1;
      this.#report.freedBytes += stat.sizeBytes;
      const facts = { module: 'gc', repository: repo, digest, decision: 'delete', 'dry-run': true };
      logger.info(facts, 'unreferenced blob');
      return false;
    }
    if (!(await keeper.garbage.buryBlob(repo, digest, sinceMs))) return false;
    // Absent from now on; its bytes wait until nobody holds it.
    if (!isHeld) this.#report.buried += 1;
    return true;
  }

  async #removeBuried(): Promise<void> {
    const { index, storage, clock, store } = this.#parts;
    const graceMs = this.#graceMs;
    // Nobody knows what the clock did before this process began: then the grace counts from there.
    if (clock.runningMs < graceMs) return;
    const beforeMs = clock.nowMs() - graceMs;
    for (let after: TombstoneRow | null = null; ;) {
      const page: TombstoneRow[] = await index.listTombstones({ beforeMs, after, limit: PAGE });
      for (const { repo, digest } of page) {
        if (this.#context.signal.aborted) return;
        if (storage.storeOf(repo) === store) await this.#isolated(repo, () => this.#removeBlob(repo, digest));
        await this.#context.pause();
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  async #removeBlob(repo: RepoName, digest: Digest): Promise<void> {
    const { storage, keeper, logger, audit } = this.#parts;
    const sizeBytes = (await storage.repository(repo).statBlob(digest))?.sizeBytes ?? 0;
    if (!(await keeper.garbage.collectBlob(repo, digest))) return;
    this.#report.blobs += 1;
    this.#report.freedBytes += sizeBytes;
    this.#touched.add(repo);
    logger.debug({ module: 'gc', repository: repo, digest }, 'blob removed');
    audit.removal({ module: 'gc', repository: repo, digest, reason: 'unreferenced blob' });
  }

  /** Removes uploads that nobody has written to for the delay; gives whether none is left. */
  async #removeUploads(repo: RepoName): Promise<boolean> {
    const { storage, keeper, settings, clock, audit } = this.#parts;
    const isOld = (modifiedMs: number): boolean => {
      const ageMs = clock.ageMs(modifiedMs);
      return ageMs < 0 || ageMs >= settings.delayMs;
    };
    let left = 0;
    const store = storage.repository(repo);
    for await (const id of store.listUploads()) {
      if (this.#context.signal.aborted) return false;
      let gone: boolean;
      if (settings.dryRun) gone = isOld((await store.statUpload(id))?.modifiedMs ?? Infinity);
      else gone = await keeper.garbage.collectUpload({ repo, id }, isOld);
      if (gone) this.#report.uploads += 1;
      else left += 1;
      if (gone && !settings.dryRun)
        audit.removal({ module: 'gc', repository: repo, reason: 'abandoned upload' });
      await this.#context.pause();
    }
    this.#touched.add(repo);
    return left === 0;
  }

  async #removeIfEmpty(repo: RepoName): Promise<void> {
    const { keeper, settings, clock, logger, audit } = this.#parts;
    const isOld = (modifiedMs: number): boolean => clock.ageMs(modifiedMs) >= settings.delayMs;
    if (!(await keeper.garbage.removeEmpty(repo, isOld))) return;
    this.#report.repositories += 1;
    logger.info({ module: 'gc', repository: repo }, 'removed empty repository');
    audit.removal({ module: 'gc', repository: repo, reason: 'empty repository' });
  }

  async #isUnknown(repo: RepoName): Promise<boolean> {
    const why = await unknownContent(this.#parts.index, repo);
    if (why === null) return false;
    if (!this.#warned.has(repo)) {
      const message = `nothing of this repository is collected, since ${why}`;
      this.#parts.logger.warn({ module: 'gc', repository: repo }, message);
    }
    this.#warned.add(repo);
    return true;
  }

  #noteManifest(repo: RepoName, digest: Digest, reason: GarbageReason): void {
    const { logger, settings, audit } = this.#parts;
    const facts = { module: 'gc', repository: repo, reference: digest, digest, decision: 'delete', reason };
    logger.info({ ...facts, 'dry-run': settings.dryRun }, REMOVALS[reason]);
    if (!settings.dryRun)
      audit.removal({ module: 'gc', repository: repo, reference: digest, digest, reason });
  }
}
