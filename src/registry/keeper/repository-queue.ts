/**
 * Every change of one repository, one batch after another.
 *
 * Owns: the order of changes of its repository, and the serialised index.json while it is in use.
 * Invariants: (1) at most one batch runs; (2) the operations of a batch do not touch each other's keys, so that
 * each is planned against the same state; (3) the state planned against is that of the file, by its fingerprint.
 * Order of writes of a batch: manifests durable -> history -> index.json replaced -> index committed -> files
 * that nothing names any more removed -> answers. A fault before index.json was replaced leaves the repository as it
 * was; when the index cannot commit after it, the file is put back; after a crash in between, the index is read from
 * the file.
 */
import { HELD_SINCE_MS } from '#metadata';
import type { BlobRow, RepositoryState } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { RepositoryStore } from '#storage';
import type { CommitGroup } from './index-file/commit-group.ts';
import { IndexChunks } from './index-file/index-chunks.ts';
import { LayoutMirror } from './index-file/layout-mirror.ts';
import type { MirrorParts } from './index-file/layout-mirror.ts';
import { BatchChooser } from './plans/operation.ts';
import type { Operation, Plan } from './plans/operation.ts';
import { keysOf, planOperation } from './plans/plan.ts';
import type { TagHistory } from './tags/tag-history.ts';

export interface QueueParts extends MirrorParts {
  readonly group: CommitGroup;
  readonly history: TagHistory;
  /** The wall clock, milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** Hears of each operation that is committed, in the order in which they are. */
  readonly onCommit: (repo: RepoName, operation: Operation, plan: Plan) => void;
  /** Hears of files that are removed. */
  readonly onRemoved: (repo: RepoName, digests: readonly Digest[]) => Promise<void>;
  /** Whether the bytes of a repository are counted: then the index knows its manifests as blobs too. */
  readonly countsBytes?: (repo: RepoName) => boolean;
}

interface Job {
  readonly operation: Operation;
  readonly settle: PromiseWithResolvers<Plan>;
}

interface PlannedJob {
  readonly job: Job;
  readonly plan: Plan;
}

/** Operations joined at most; more wait for the next batch. */
const BATCH_MAX = 256;
/** Times another tool may change index.json between our look at it and our rewrite, before we give up. */
const CONFLICTS_MAX = 5;

export class RepositoryQueue {
  #store: RepositoryStore;
  #parts: QueueParts;
  #mirror: LayoutMirror;
  #jobs: Job[] = [];
  #running = false;

  constructor(store: RepositoryStore, parts: QueueParts) {
    this.#store = store;
    this.#parts = parts;
    this.#mirror = new LayoutMirror(store, parts);
  }

  get idle(): boolean {
    return !this.#running && this.#jobs.length === 0;
  }

  /** Settles when the operation is committed, with what it did, or was refused. */
  run(operation: Operation): Promise<Plan> {
    const settle = Promise.withResolvers<Plan>();
    this.#jobs.push({ operation, settle });
    if (!this.#running) {
      this.#running = true;
      void this.#work();
    }
    return settle.promise;
  }

  async #work(): Promise<void> {
    // One turn later, so that operations that arrive together are joined.
    await Promise.resolve();
    while (this.#jobs.length > 0) {
      const batch = await this.#choose();
      if (batch.length > 0) await this.#runBatch(batch, 0);
    }
    this.#running = false;
  }

  /**
   * The jobs of the next batch, taken from the front. One whose keys cannot be looked up is answered with
   * the fault.
   */
  async #choose(): Promise<Job[]> {
    const chooser = new BatchChooser();
    const chosen: Job[] = [];
    const left: Job[] = [];
    const jobs = this.#jobs;
    this.#jobs = [];
    for (const job of jobs) {
      try {
        const admitted = chooser.admit(await this.#keys(job)) && chosen.length < BATCH_MAX;
        (admitted ? chosen : left).push(job);
      } catch (error) {
        job.settle.reject(error);
      }
    }
    // What arrived while the keys were looked up stands behind what was left.
    this.#jobs = [...left, ...this.#jobs];
    return chosen;
  }

  #keys(job: Job) {
    return keysOf(job.operation, this.#store.name, this.#parts.index);
  }

  async #runBatch(batch: readonly Job[], conflicts: number): Promise<void> {
    let planned: PlannedJob[] = [];
    const progress = { replaced: false };
    try {
      const state = await this.#mirror.currentState();
      await this.#parts.history.settle(this.#store.name, this.#parts.index);
      planned = await this.#planAll(batch, state);
      await this.#write(
        planned.map(({ plan }) => plan),
        state,
        progress,
      );
    } catch (error) {
      this.#parts.chunks.delete(this.#store.name);
      const unsettled = planned.length > 0 ? planned.map(({ job }) => job) : batch;
      return this.#recover(unsettled, error, { conflicts, replaced: progress.replaced });
    }
    for (const { job, plan } of planned) this.#parts.onCommit(this.#store.name, job.operation, plan);
    await this.#settleAll(planned);
  }

  /**
   * After a fault: another tool's change is taken in and the batch tried again; operations that nothing came of yet
   * are tried one by one, so that only those are refused that the fault is about.
   */
  async #recover(
    jobs: readonly Job[],
    error: unknown,
    when: { readonly conflicts: number; readonly replaced: boolean },
  ): Promise<void> {
    const lost = error instanceof StorageError && error.fault === 'conflict';
    if (lost && when.conflicts < CONFLICTS_MAX) return this.#runBatch(jobs, when.conflicts + 1);
    if (jobs.length > 1 && !when.replaced) {
      for (const job of jobs) await this.#runBatch([job], 0);
      return;
    }
    for (const job of jobs) job.settle.reject(error);
  }

  /** Answers committed operations, those that leave files behind when these are removed: together, since many may. */
  async #settleAll(planned: readonly PlannedJob[]): Promise<void> {
    const leaving: PlannedJob[] = [];
    for (const each of planned) {
      if (each.plan.buried.length + each.plan.removedFiles.length > 0) leaving.push(each);
      else each.job.settle.resolve(each.plan);
    }
    try {
      await this.#bury(leaving.flatMap(({ plan }) => plan.buried));
      await this.#noteRemoved(leaving.flatMap(({ plan }) => plan.removedFiles));
    } catch (error) {
      for (const each of leaving) this.#leaveBehind(each, error);
      return;
    }
    await Promise.all(leaving.map((each) => this.#settle(each)));
  }

  async #settle({ job, plan }: PlannedJob): Promise<void> {
    try {
      await this.#removeFiles(plan.removedFiles);
      job.settle.resolve(plan);
    } catch (error) {
      this.#leaveBehind({ job, plan }, error);
    }
  }

  /** A blob that is still there was not deleted. A manifest was: its file is but in the way until it is collected. */
  #leaveBehind({ job, plan }: PlannedJob, error: unknown): void {
    if (plan.removedManifests.length === 0) return job.settle.reject(error);
    const problem = `the file of a deleted manifest is left behind: ${String(error)}`;
    this.#parts.report(this.#store.name, plan.removedFiles[0] ?? null, problem);
    job.settle.resolve(plan);
  }

  /**
   * Plans each operation, all together, since they do not touch each other; the refused ones are answered at once and
   * leave the batch.
   */
  async #planAll(batch: readonly Job[], state: RepositoryState | null): Promise<PlannedJob[]> {
    const plans = await Promise.all(batch.map((job) => this.#plan(job, state)));
    return plans.filter((planned) => planned !== null);
  }

  async #plan(job: Job, state: RepositoryState | null): Promise<PlannedJob | null> {
    const { index, nowMs, history } = this.#parts;
    try {
      if (job.operation.kind === 'push') this.#requireUsable(state);
      const context = { index, store: this.#store, history, nowMs: nowMs() };
      const plan = await planOperation(job.operation, context);
      this.#parts.watches.planned(this.#store.name, job.operation, plan);
      return { job, plan };
    } catch (error) {
      job.settle.reject(error);
      return null;
    }
  }

  /** A push would replace a file that cannot be read and was never read: what it names would be lost for good. */
  #requireUsable(state: RepositoryState | null): void {
    if (state === null || state.problem === null || state.head !== '') return;
    throw new RegistryError('CONTENT_CORRUPT', {
      message: `the index.json of this repository cannot be used (${state.problem}): see "zot check"`,
    });
  }

  /** Carries plans out up to the commit; `progress` says how far it came when a fault ends it. */
  async #write(
    plans: readonly Plan[],
    state: RepositoryState | null,
    progress: { replaced: boolean },
  ): Promise<void> {
    const { index } = this.#parts;
    const store = this.#store;
    const manifests = plans.flatMap(({ manifestBytes }) => (manifestBytes === null ? [] : [manifestBytes]));
    const found = [...plans.flatMap((plan) => plan.foundBlobs), ...this.#counted(manifests)];
    if (found.length > 0) await index.addBlobs(store.name, found);
    // Noted before it is there: what a fault or a crash leaves behind must be found again.
    await this.#note(manifests.map(({ digest }) => digest));
    await Promise.all(manifests.map(({ digest, bytes }) => store.putManifest(digest, bytes)));

    const changes = plans.some(
      (plan) =>
        plan.removedEntries.length +
          plan.addedEntries.length +
          plan.addedManifests.length +
          plan.removedManifests.length +
          plan.revived.length >
        0,
    );
    if (changes) await this.#writeChanges(plans, state, progress);
    if (plans.some((plan) => plan.removesRepository)) {
      await store.removeLayout();
      await this.#mirror.forget();
    }
  }

  /** Manifests as blobs, where their bytes count toward a quota. */
  #counted(manifests: readonly NonNullable<Plan['manifestBytes']>[]): BlobRow[] {
    if (this.#parts.countsBytes?.(this.#store.name) !== true) return [];
    return manifests.map(({ digest, bytes }) => ({ digest, sizeBytes: bytes.length }));
  }

  async #writeChanges(
    plans: readonly Plan[],
    state: RepositoryState | null,
    progress: { replaced: boolean },
  ): Promise<void> {
    const { history, nowMs, chunks: held } = this.#parts;
    const { name } = this.#store;
    const removed = plans.flatMap((plan) => plan.removedEntries);
    const added = plans.flatMap((plan) => plan.addedEntries);
    const chunks = await this.#chunks();
    const before = chunks.file(state?.head ?? '', state?.unreadable ?? []);
    chunks.remove(removed.map((entry) => entry.position));
    const positions = chunks.append(added.map((entry) => entry.json));
    const recorded = await history.record(name, plans, nowMs());
    try {
      const next = await this.#replaceIndex(chunks, state, removed.length + added.length > 0);
      progress.replaced = true;
      try {
        await this.#commit(plans, next, positions);
      } catch (error) {
        progress.replaced = !(await this.#takeBack(state, next, before));
        throw error;
      }
    } catch (error) {
      history.doubt(name);
      throw error;
    }
    history.confirm(recorded);
    held.set(name, chunks, chunks.sizeBytes);
  }

  /** Commits what plans change, their new descriptors at `positions`. */
  #commit(plans: readonly Plan[], state: RepositoryState, positions: readonly number[]): Promise<void> {
    const repo = this.#store.name;
    const added = plans.flatMap((plan) => plan.addedEntries);
    return this.#parts.group.commit({
      repo,
      state,
      removedPositions: plans.flatMap((plan) => plan.removedEntries.map((entry) => entry.position)),
      addedEntries: added.map((entry, at) => ({ ...entry, position: positions[at] as number })),
      removedManifests: plans.flatMap((plan) => plan.removedManifests),
      addedManifests: plans.flatMap((plan) => plan.addedManifests),
      candidates: plans.flatMap((plan) => plan.candidates.map((found) => ({ repo, ...found }))),
      revived: plans.flatMap((plan) => plan.revived),
    });
  }

  /**
   * Puts the file back as it was, after the index could not commit its change: what is refused leaves nothing behind.
   * Gives whether that could be done; if not, the next batch takes the new file in.
   */
  async #takeBack(
    before: RepositoryState | null,
    replaced: RepositoryState,
    pieces: readonly Buffer[],
  ): Promise<boolean> {
    const { name } = this.#store;
    if (before?.fingerprint === replaced.fingerprint) return true;
    try {
      if (before === null) await this.#store.removeLayout();
      else {
        const { fingerprint } = await this.#store.replaceIndex(pieces, replaced.fingerprint);
        await this.#noteState({ ...before, fingerprint, problem: null });
      }
      return true;
    } catch (error) {
      this.#parts.report(name, null, `a change that could not be committed may show later: ${String(error)}`);
      return false;
    }
  }

  /** Without the note the file looks changed, is read again, and is found to say what the index says. */
  async #noteState(state: RepositoryState): Promise<void> {
    try {
      await this.#parts.index.setState(this.#store.name, state);
    } catch (error) {
      this.#parts.report(this.#store.name, null, `index.json was put back unnoted: ${String(error)}`);
    }
  }

  async #bury(blobs: Plan['buried']): Promise<void> {
    if (blobs.length === 0) return;
    const sinceMs = this.#parts.nowMs();
    await this.#parts.index.addTombstones(
      blobs.map(({ digest, modifiedMs, held }) => ({
        repo: this.#store.name,
        digest,
        modifiedMs,
        sinceMs: held === true ? HELD_SINCE_MS : sinceMs,
      })),
    );
  }

  /** Makes a later sweep look at blobs, whatever becomes of them. */
  async #note(digests: readonly Digest[]): Promise<void> {
    const sinceMs = this.#parts.nowMs();
    await this.#parts.index.addCandidates(digests.map((what) => ({ repo: this.#store.name, what, sinceMs })));
  }

  /** Files about to be removed: the index no longer knows them, and a sweep finds what a crash leaves of them. */
  async #noteRemoved(files: readonly Digest[]): Promise<void> {
    if (files.length === 0) return;
    await this.#note(files);
    await this.#parts.index.removeBlobs(this.#store.name, files);
  }

  async #removeFiles(files: readonly Digest[]): Promise<void> {
    if (files.length === 0) return;
    for (const digest of files) await this.#store.deleteBlob(digest);
    await this.#parts.onRemoved(this.#store.name, files);
  }

  async #chunks(): Promise<IndexChunks> {
    const { chunks, index } = this.#parts;
    const held = chunks.get(this.#store.name);
    // Taken out while it is changed: a fault must not leave a half changed one behind.
    chunks.delete(this.#store.name);
    return held ?? IndexChunks.load(index, this.#store.name);
  }

  async #replaceIndex(
    chunks: IndexChunks,
    state: RepositoryState | null,
    changed: boolean,
  ): Promise<RepositoryState> {
    const head = state?.head ?? '';
    const unreadable = state?.unreadable ?? [];
    if (!changed && state !== null) return state;
    const expected = state?.fingerprint ?? null;
    const stat = await this.#store.replaceIndex(chunks.file(head, unreadable), expected);
    return {
      fingerprint: stat.fingerprint,
      doubtfulUntilMs: 0,
      head: head || '{"schemaVersion":2',
      unreadable,
      problem: null,
    };
  }
}
