/**
 * One sweep of garbage. It reads what may be garbage (candidates), never the store, unless a full sweep is asked for.
 *
 * A blob's bytes go in three steps: a tombstone (it counts as absent, so that clients upload it again), a grace as
 * long as the delay (clients that saw it before may still push the manifest that needs it: that takes the tombstone
 * away), the removal under the blob's lock, when nothing needs it. What is younger than the delay is never touched,
 * so a push in flight has that long. Each step is decided in the queue of the repository, against its index.json as
 * it is then: what is decided here only says what is worth asking for. Several are asked for at once, so that they join
 * in one change; a group of candidates is judged as a whole before any of it is changed.
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
import { chunksOf, groupsOf } from './groups.ts';
import { Lateness, lateMax } from './lateness.ts';
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

/** What came of a candidate: nothing more is to come, it was changed and noted again, or a later sweep looks again. */
type End = 'done' | 'again' | 'later';
/** As far as looking at it says, or what is to be changed. */
type Verdict = 'done' | 'later' | (() => Promise<End>);

/** One sweep, with what its steps share. */
export class Sweep {
  /** How far it is behind, at this moment. */
  readonly lateness: Lateness;
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
    this.lateness = new Lateness(lateMax(parts.settings), () => parts.clock.runningMs);
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
      for (const group of groupsOf(page.filter(({ repo }) => storage.storeOf(repo) === store))) {
        if (this.#context.signal.aborted) return;
        await this.#judgeGroup(group);
        await this.#context.pause();
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  /**
   * All are judged, and those that need nothing more forgotten, before any is changed: a change may note again, at the
   * same age, what was in use while it was judged.
   */
  async #judgeGroup(group: readonly CandidateRow[]): Promise<void> {
    const verdicts = await this.#together(group, (candidate) => this.#judge(candidate));
    const done = group.filter((_, at) => verdicts[at] === 'done');
    await this.#forget(done);
    const changes = group.flatMap((candidate, at) => {
      const verdict = verdicts[at];
      return typeof verdict === 'function' ? [{ candidate, repo: candidate.repo, change: verdict }] : [];
    });
    const ends = await this.#together(changes, ({ change }) => change());
    const ended = (how: End): CandidateRow[] =>
      changes.filter((_, at) => ends[at] === how).map(({ candidate }) => candidate);
    await this.#forget(ended('done'));
    const dealtWith = [...done, ...ended('done'), ...ended('again')];
    this.lateness.note(dealtWith.map((candidate) => this.#lateMs(candidate)));
  }

  /** Forgets candidates that are dealt with; one that was noted again meanwhile stays. */
  async #forget(candidates: readonly CandidateRow[]): Promise<void> {
    const [first] = candidates;
    if (first === undefined || this.#parts.settings.dryRun) return;
    await this.#isolated(first.repo, () => this.#parts.index.removeCandidates(candidates));
  }

  /** For how long a candidate has been due; a note of many things at once has no age. */
  #lateMs({ what, sinceMs }: CandidateRow): number {
    if (what === UPLOADS || what === WHOLE_REPOSITORY) return 0;
    const { settings, clock } = this.#parts;
    return clock.nowMs() - sinceMs - Math.max(settings.delayMs, settings.manifestDelayMs);
  }

  /** Does work for several at once, each isolated from the others; `null` stands for a fault. Ends when all have. */
  async #together<Row extends { readonly repo: RepoName }, Result>(
    rows: readonly Row[],
    work: (row: Row) => Promise<Result>,
  ): Promise<(Result | null)[]> {
    const all = rows.map((row) => this.#isolated(row.repo, () => work(row)));
    const ends = await Promise.allSettled(all);
    return ends.map((end) => {
      if (end.status === 'rejected') throw end.reason;
      return end.value;
    });
  }

  /** One repository in trouble does not keep the garbage of others. */
  async #isolated<Result>(repo: RepoName, work: () => Promise<Result>): Promise<Result | null> {
    try {
      return await work();
    } catch (error) {
      this.#report.failed += 1;
      this.#parts.logger.warn({ module: 'gc', repository: repo, error }, 'garbage could not be collected');
      if (this.#report.failed >= FAILED_MAX) throw error;
      return null;
    }
  }

  async #judge({ repo, what, sinceMs }: CandidateRow): Promise<Verdict> {
    if (what === UPLOADS) return () => this.#removeUploads(repo);
    if (what === WHOLE_REPOSITORY) return () => this.#noteWhole(repo);
    return this.#judgeDigest(repo, what, sinceMs);
  }

  async #noteWhole(repo: RepoName): Promise<End> {
    this.#touched.add(repo);
    return (await noteAll(repo, this.#parts, this.#context)) ? 'done' : 'later';
  }

  /** A manifest or blob that is not old enough is looked at again. */
  async #judgeDigest(repo: RepoName, digest: Digest, sinceMs: number): Promise<Verdict> {
    const { index, keeper, storage, settings, clock } = this.#parts;
    const ageMs = clock.nowMs() - sinceMs;
    const place = { index, holds: keeper.tags, repo };
    const reason = await garbageReason(place, digest, settings.rulesOf(repo));
    if (reason !== null) {
      if (ageMs < settings.manifestDelayMs || (await this.#isUnknown(repo))) return 'later';
      return this.#judgeManifest(repo, digest, { reason, sinceMs });
    }
    if (await isDead(index, storage.repository(repo), digest))
      return ageMs < settings.delayMs ? 'later' : () => this.#pruneDead(repo, digest);
    if (await isBlobInUse(index, repo, digest)) return 'done';
    if (ageMs < settings.delayMs || (await this.#isUnknown(repo))) return 'later';
    return this.#judgeBlob(repo, digest, sinceMs);
  }

  async #judgeManifest(
    repo: RepoName,
    digest: Digest,
    { reason, sinceMs }: { readonly reason: GarbageReason; readonly sinceMs: number },
  ): Promise<Verdict> {
    const { keeper, settings } = this.#parts;
    const rules = settings.rulesOf(repo);
    const isKept = reason === 'deleteUntagged' ? await this.#untagged.judge(repo, digest) : isNeverKept;
    if (isKept === null) return 'later';
    return async () => {
      const garbage = { digest, rules, sinceMs, isKept };
      if (!settings.dryRun && !(await keeper.garbage.collectManifest(repo, garbage))) return 'later';
      this.#noteManifest(repo, digest, reason);
      this.#report.manifests += 1;
      // As a blob of that age.
      return 'again';
    };
  }

  async #pruneDead(repo: RepoName, digest: Digest): Promise<End> {
    const { keeper, settings } = this.#parts;
    if (!settings.dryRun && !(await keeper.garbage.pruneDead(repo, digest))) return 'later';
    this.#noteManifest(repo, digest, 'staleManifestPrune');
    this.#report.manifests += 1;
    return 'done';
  }

  async #judgeBlob(repo: RepoName, digest: Digest, sinceMs: number): Promise<Verdict> {
    const { storage, settings, clock, keeper, index } = this.#parts;
    const stat = await storage.repository(repo).statBlob(digest);
    this.#touched.add(repo);
    // Removed by somebody else; what is remembered of it must not promise it.
    if (stat === null) return settings.dryRun ? 'done' : () => this.#forgetBlob(repo, digest);
    // Written again after it was noted. Of a time in the future nothing follows: the note alone decides.
    const ageMs = clock.ageMs(stat.modifiedMs);
    if (ageMs >= 0 && ageMs < settings.delayMs) return 'later';
    if (await index.isTombstoned(repo, digest)) return 'done';
    const isHeld = await keeper.tags.isHeld(repo, digest);
    if (settings.dryRun && isHeld) return 'done';
    if (settings.dryRun) return this.#wouldRemove(repo, digest, stat.sizeBytes);
    return () => this.#bury({ repo, what: digest, sinceMs }, isHeld);
  }

  async #forgetBlob(repo: RepoName, digest: Digest): Promise<'done'> {
    await this.#parts.keeper.garbage.forgetBlob(repo, digest);
    return 'done';
  }

  #wouldRemove(repo: RepoName, digest: Digest, sizeBytes: number): Verdict {
    this.#report.blobs += 1;
    this.#report.freedBytes += sizeBytes;
    const facts = { module: 'gc', repository: repo, digest, decision: 'delete', 'dry-run': true };
    this.#parts.logger.info(facts, 'unreferenced blob');
    return 'later';
  }

  async #bury(
    { repo, what, sinceMs }: CandidateRow & { readonly what: Digest },
    isHeld: boolean,
  ): Promise<End> {
    if (!(await this.#parts.keeper.garbage.buryBlob(repo, what, sinceMs))) return 'later';
    // Absent from now on; its bytes wait until nobody holds it.
    if (!isHeld) this.#report.buried += 1;
    return 'done';
  }

  async #removeBuried(): Promise<void> {
    const { index, storage, clock, store } = this.#parts;
    const graceMs = this.#graceMs;
    // Nobody knows what the clock did before this process began: then the grace counts from there.
    if (clock.runningMs < graceMs) return;
    const beforeMs = clock.nowMs() - graceMs;
    for (let after: TombstoneRow | null = null; ;) {
      const page: TombstoneRow[] = await index.listTombstones({ beforeMs, after, limit: PAGE });
      for (const group of chunksOf(page.filter(({ repo }) => storage.storeOf(repo) === store))) {
        if (this.#context.signal.aborted) return;
        const gone = await this.#together(group, ({ repo, digest }) => this.#removeBlob(repo, digest));
        const late = group.filter((_, at) => gone[at] === true);
        this.lateness.note(late.map(({ sinceMs }) => clock.nowMs() - graceMs - sinceMs));
        await this.#context.pause();
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  /** Gives whether it is gone. */
  async #removeBlob(repo: RepoName, digest: Digest): Promise<boolean> {
    const { keeper, logger, audit } = this.#parts;
    const sizeBytes = await keeper.garbage.collectBlob(repo, digest);
    if (sizeBytes === null) return false;
    this.#report.blobs += 1;
    this.#report.freedBytes += sizeBytes;
    this.#touched.add(repo);
    logger.debug({ module: 'gc', repository: repo, digest }, 'blob removed');
    audit.removal({ module: 'gc', repository: repo, digest, reason: 'unreferenced blob' });
    return true;
  }

  /** Removes uploads that nobody has written to for the delay; done when none is left. */
  async #removeUploads(repo: RepoName): Promise<End> {
    const { storage, keeper, settings, clock, audit } = this.#parts;
    const isOld = (modifiedMs: number): boolean => {
      const ageMs = clock.ageMs(modifiedMs);
      return ageMs < 0 || ageMs >= settings.delayMs;
    };
    let left = 0;
    const store = storage.repository(repo);
    for await (const id of store.listUploads()) {
      if (this.#context.signal.aborted) return 'later';
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
    return left === 0 ? 'done' : 'later';
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
