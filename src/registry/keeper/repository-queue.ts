/**
 * Every change of one repository, one batch after another.
 *
 * Owns: the order of changes of its repository, and the serialised index.json while it is in use.
 * Invariants: (1) at most one batch runs; (2) the operations of a batch do not touch each other's keys, so that
 * each is planned against the same state; (3) the state planned against is that of the file, by its fingerprint.
 * Order of writes of a batch: manifests durable -> index.json replaced -> index committed -> files that nothing
 * names any more removed -> answers. A fault before index.json was replaced leaves the repository as it was;
 * after it, the index is read from the file again by the next batch.
 */
import type { IndexWriter, RepositoryState } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import { RegistryError } from '#oci/errors';
import { StorageError } from '#storage';
import type { FileStat, RepositoryStore } from '#storage';
import type { WeightedLru } from '#lib/weighted-lru';
import type { CommitGroup } from './commit-group.ts';
import { IndexChunks } from './index-chunks.ts';
import { BatchChooser } from './operation.ts';
import type { Operation, Plan } from './operation.ts';
import { keysOf, planOperation } from './plan.ts';
import { readLayout } from './reconcile.ts';

export interface QueueParts {
  readonly index: IndexWriter;
  readonly group: CommitGroup;
  readonly chunks: WeightedLru<RepoName, IndexChunks>;
  /** Hears of damage and of files that cannot be used. */
  readonly report: (repo: RepoName, digest: string | null, problem: string) => void;
}

interface Job {
  readonly operation: Operation;
  readonly settle: PromiseWithResolvers<void>;
}

/** Operations joined at most; more wait for the next batch. */
const BATCH_MAX = 256;
/** Times another tool may change index.json between our look at it and our rewrite, before we give up. */
const CONFLICTS_MAX = 5;

export class RepositoryQueue {
  #store: RepositoryStore;
  #parts: QueueParts;
  #jobs: Job[] = [];
  #running = false;

  constructor(store: RepositoryStore, parts: QueueParts) {
    this.#store = store;
    this.#parts = parts;
  }

  get idle(): boolean {
    return !this.#running && this.#jobs.length === 0;
  }

  /** Settles when the operation is committed, or was refused. */
  run(operation: Operation): Promise<void> {
    const settle = Promise.withResolvers<void>();
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
      await this.#runBatch(batch, 0);
    }
    this.#running = false;
  }

  async #choose(): Promise<Job[]> {
    const chooser = new BatchChooser();
    const chosen: Job[] = [];
    const left: Job[] = [];
    const jobs = this.#jobs;
    this.#jobs = [];
    for (const job of jobs) {
      const admitted = chooser.admit(await this.#keys(job)) && chosen.length < BATCH_MAX;
      (admitted ? chosen : left).push(job);
    }
    // What arrived while the keys were looked up stands behind what was left.
    this.#jobs = [...left, ...this.#jobs];
    return chosen;
  }

  #keys(job: Job) {
    return keysOf(job.operation, this.#store.name, this.#parts.index);
  }

  async #runBatch(batch: readonly Job[], conflicts: number): Promise<void> {
    let planned: { job: Job; plan: Plan }[] = [];
    try {
      const state = await this.#currentState();
      planned = await this.#planAll(batch, state);
      await this.#write(
        planned.map(({ plan }) => plan),
        state,
      );
    } catch (error) {
      this.#parts.chunks.delete(this.#store.name);
      const lost = error instanceof StorageError && error.fault === 'conflict';
      const unsettled = planned.length > 0 ? planned.map(({ job }) => job) : batch;
      if (lost && conflicts < CONFLICTS_MAX) return this.#runBatch(unsettled, conflicts + 1);
      for (const job of unsettled) job.settle.reject(error);
      return;
    }
    for (const { job } of planned) job.settle.resolve();
  }

  /** Plans each operation; the refused ones are answered at once and leave the batch. */
  async #planAll(batch: readonly Job[], state: RepositoryState | null): Promise<{ job: Job; plan: Plan }[]> {
    const planned: { job: Job; plan: Plan }[] = [];
    for (const job of batch) {
      try {
        if (job.operation.kind === 'push') this.#requireUsable(state);
        const plan = await planOperation(job.operation, this.#parts.index, this.#store);
        planned.push({ job, plan });
      } catch (error) {
        job.settle.reject(error);
      }
    }
    return planned;
  }

  /** A push would replace a file that cannot be read and was never read: what it names would be lost for good. */
  #requireUsable(state: RepositoryState | null): void {
    if (state === null || state.problem === null || state.head !== '') return;
    throw new RegistryError('CONTENT_CORRUPT', {
      message: `the index.json of this repository cannot be used (${state.problem}): see "zot check"`,
    });
  }

  async #write(plans: readonly Plan[], state: RepositoryState | null): Promise<void> {
    const { index, group } = this.#parts;
    const store = this.#store;
    const found = plans.flatMap((plan) => plan.foundBlobs);
    if (found.length > 0) await index.addBlobs(store.name, found);
    const manifests = plans.flatMap(({ manifestBytes }) => (manifestBytes === null ? [] : [manifestBytes]));
    await Promise.all(manifests.map(({ digest, bytes }) => store.putManifest(digest, bytes)));

    const removed = plans.flatMap((plan) => plan.removedEntries);
    const added = plans.flatMap((plan) => plan.addedEntries);
    const addedManifests = plans.flatMap((plan) => plan.addedManifests);
    const removedManifests = plans.flatMap((plan) => plan.removedManifests);
    const revived = plans.flatMap((plan) => plan.revived);
    if (
      removed.length + added.length + addedManifests.length + removedManifests.length + revived.length >
      0
    ) {
      const chunks = await this.#chunks();
      for (const entry of removed) chunks.remove(entry.position);
      const positions = chunks.append(added.map((entry) => entry.json));
      const next = await this.#replaceIndex(chunks, state, removed.length + added.length > 0);
      await group.commit({
        repo: store.name,
        state: next,
        removedPositions: removed.map((entry) => entry.position),
        addedEntries: added.map((entry, at) => ({ ...entry, position: positions[at] as number })),
        removedManifests,
        addedManifests,
        candidates: plans.flatMap((plan) => plan.candidates.map((found) => ({ repo: store.name, ...found }))),
        revived,
      });
      this.#parts.chunks.set(store.name, chunks, chunks.sizeBytes);
    }
    const files = plans.flatMap((plan) => plan.removedFiles);
    if (files.length > 0) await this.#removeFiles(files);
  }

  async #removeFiles(files: readonly Parameters<RepositoryStore['deleteBlob']>[0][]): Promise<void> {
    await this.#parts.index.removeBlobs(this.#store.name, files);
    for (const digest of files) await this.#store.deleteBlob(digest);
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

  // --- the file and the index ---

  /** Brings the index up to the file, if another tool changed it, and gives the state; `null`: no repository. */
  async #currentState(): Promise<RepositoryState | null> {
    const { index } = this.#parts;
    const state = await index.findRepository(this.#store.name);
    const stat = await this.#store.statIndex();
    if (stat === null) {
      if (state !== null) await this.#forget();
      return null;
    }
    const doubtful = state !== null && state.doubtfulUntilMs > 0 && Date.now() >= state.doubtfulUntilMs;
    if (state?.fingerprint === stat.fingerprint && !doubtful) return state;
    await this.#readAgain(state);
    return index.findRepository(this.#store.name);
  }

  async #forget(): Promise<void> {
    this.#parts.chunks.delete(this.#store.name);
    await this.#parts.index.removeRepository(this.#store.name);
  }

  async #readAgain(state: RepositoryState | null): Promise<void> {
    const { index, report, chunks } = this.#parts;
    const name = this.#store.name;
    chunks.delete(name);
    const read = await this.#store.readIndex();
    if (read === null) return this.#forget();
    const snapshot = await readLayout(this.#store, index, read, (digest, problem) =>
      report(name, digest, problem),
    );
    if (typeof snapshot !== 'string') return index.replaceRepository(snapshot);
    report(name, null, `index.json cannot be used: ${snapshot}`);
    await this.#keepLastGood(state, read.stat, snapshot, read.bytes);
  }

  /** Rows of the last good file stay; a file never read well leaves a repository without rows. */
  async #keepLastGood(
    state: RepositoryState | null,
    stat: FileStat,
    problem: string,
    bytes: Buffer,
  ): Promise<void> {
    const { index } = this.#parts;
    const next = { fingerprint: stat.fingerprint, doubtfulUntilMs: 0, unreadable: [], problem };
    if (state !== null)
      return index.setState(this.#store.name, { ...state, ...next, unreadable: state.unreadable });
    // A file without a byte of text has nothing to lose: a push may begin it anew.
    const head = bytes.every((byte) => byte === 0 || byte === 0x20 || byte === 0x0a)
      ? '{"schemaVersion":2'
      : '';
    const empty = { entries: [], manifests: [], kept: [], blobs: [] };
    await index.replaceRepository({ repo: this.#store.name, state: { ...next, head }, ...empty });
  }
}
