/**
 * One pass over all bytes of a store: every manifest and blob is read and compared with its digest, by the digest's
 * own algorithm; damage is noted, and mended where a sound copy is at hand.
 *
 * Nothing is locked while bytes are read. It goes through the repositories in the order of their folders and through
 * the contents of each in the order of digests; where it is, is noted on the way, so that the next start goes on
 * there. Files that repositories share are read once while they are remembered. Memory does not grow with the store.
 */
import { WeightedLru } from '#lib/weighted-lru';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { isBlobInUse, versionOf } from '#registry';
import type { Verdict } from '#registry';
import { StorageError } from '#storage';
import type { ReadPacer, RepositoryStore } from '#storage';
import type { TaskContext } from '../scheduler.ts';
import { judgeImages } from './image-verdict.ts';
import { ScrubStopped } from './scrub-parts.ts';
import type { ImageVerdict, ScrubCounts, ScrubParts } from './scrub-parts.ts';
import type { ScrubState } from './scrub-state.ts';

const PAGE = 200;
/** Files with several names that are remembered as sound; one that is forgotten is read once more. */
const SHARED_MAX = 50_000;

export class ScrubPass {
  readonly counts: ScrubCounts;
  /** The repository that is looked at. */
  current = '';
  #parts: ScrubParts;
  #startedMs: number;
  #place: Pick<ScrubState, 'repo' | 'after' | 'counts'>;
  #isOver = false;
  #context: TaskContext | null = null;
  #shared = new WeightedLru<string, true>(SHARED_MAX);
  #steps: AsyncIterator<void> | null = null;

  /** Goes on where `from` is. */
  constructor(parts: ScrubParts, from: ScrubState) {
    this.#parts = parts;
    this.#startedMs = from.startedMs;
    this.#place = { repo: from.repo, after: from.after, counts: { ...from.counts } };
    this.counts = { ...from.counts };
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** How far it is, to go on from there. */
  get state(): ScrubState {
    const finishedMs = this.#isOver ? this.#parts.time.nowMs() : null;
    return { startedMs: this.#startedMs, finishedMs, ...this.#place };
  }

  /** Works for about `sliceMs`, or to the end; between contents `onStep` is awaited. Ends early when it is stopped. */
  async run(context: TaskContext, sliceMs: number, onStep: () => Promise<void>): Promise<void> {
    const { time } = this.#parts;
    const startedMs = time.elapsedMs();
    this.#context = context;
    this.#steps ??= this.#all()[Symbol.asyncIterator]();
    try {
      while (time.elapsedMs() - startedMs < sliceMs) {
        if (context.signal.aborted) return;
        const { done } = await this.#steps.next();
        if (done === true) {
          this.#isOver = true;
          return;
        }
        await onStep();
      }
    } catch (error) {
      // A generator that threw is at its end: the next run begins one at the place that was reached.
      this.#steps = null;
      if (!(error instanceof ScrubStopped)) throw error;
    }
  }

  /** Gives way after each step of the pass. */
  async *#all(): AsyncIterable<void> {
    const { storage, store } = this.#parts;
    const from = this.#place;
    const onProblem = (path: string, error: unknown): void => this.#fail(path, error);
    for await (const { name, isRepository } of storage.folders(onProblem)) {
      if (storage.storeOf(name) !== store || (from.repo !== '' && isBefore(name, from.repo))) continue;
      if (name === from.repo && from.after === null) continue;
      this.current = name;
      yield* this.#isolated(name, () =>
        this.#repository(name, isRepository, name === from.repo ? (from.after ?? '') : ''),
      );
      this.#reach(name, null);
    }
    this.current = '';
    yield* this.#review();
  }

  /** What is counted beyond the place is counted again by who goes on from there. */
  #reach(repo: RepoName, after: Digest | null): void {
    this.#place = { repo, after, counts: { ...this.counts } };
  }

  /** A repository that cannot be looked at does not end the pass. */
  async *#isolated(name: RepoName, work: () => AsyncIterable<void>): AsyncIterable<void> {
    const { logger } = this.#parts;
    try {
      yield* work();
      this.counts.repositories += 1;
      logger.info({ component: 'scrub' }, `scrub successfully completed for ${name}`);
    } catch (error) {
      if (error instanceof ScrubStopped) throw error;
      this.#fail(name, error);
    }
  }

  #fail(path: string, error: unknown): void {
    this.counts.failed += 1;
    this.#parts.logger.error({ component: 'scrub', error }, `failed to run scrub for ${path}`);
  }

  async *#repository(repo: RepoName, isRepository: boolean, from: Digest | ''): AsyncIterable<void> {
    const { index, keeper, storage } = this.#parts;
    if (isRepository) await keeper.refresh(repo);
    const store = storage.repository(repo);
    for (let after: string = from; ;) {
      const page = await index.listContents(repo, { after, limit: PAGE });
      for (const digest of page) {
        await this.#content(store, digest);
        this.#reach(repo, digest);
        yield;
      }
      const last = page.at(-1);
      if (last === undefined) break;
      after = last;
    }
    for await (const digest of store.listBlobs()) {
      if (await this.#isListed(repo, digest)) continue;
      await this.#content(store, digest);
      yield;
    }
    for await (const verdict of judgeImages(index, store)) {
      this.#tell(verdict);
      await this.#pause(0);
    }
  }

  /** Whether a file stood in the list of contents already. */
  async #isListed(repo: RepoName, digest: Digest): Promise<boolean> {
    const { index } = this.#parts;
    return (await index.findBlob(repo, digest)) !== null || isBlobInUse(index, repo, digest);
  }

  async #content(store: RepositoryStore, digest: Digest): Promise<void> {
    const onRead = (bytes: number): Promise<void> => this.#pause(bytes);
    await onRead(0);
    this.counts.contents += 1;
    const verdict = await this.#look(store, digest, onRead);
    if (verdict === 'changing') this.counts.failed += 1;
    if (verdict !== 'damaged') return;
    this.counts.damaged += 1;
    if (await this.#parts.keeper.damage.mend(store.name, digest, onRead)) this.counts.mended += 1;
  }

  async #look(store: RepositoryStore, digest: Digest, onRead: ReadPacer): Promise<Verdict> {
    const { index, keeper } = this.#parts;
    const [stat, known] = await Promise.all([statOf(store, digest), index.findDamage(store.name, digest)]);
    if (stat === null) return keeper.damage.examine(store.name, digest, onRead);
    // What is known of this very file need not be read again; a device that failed may be back.
    if (known !== null && known.kind !== 'unreadable' && known.version === versionOf(stat)) return 'damaged';
    const key = (stat.names ?? 1) > 1 ? `${digest} ${versionOf(stat)}` : null;
    if (key !== null && known === null && this.#shared.get(key) === true) return 'sound';
    const verdict = await keeper.damage.examine(store.name, digest, onRead);
    if (verdict === 'sound' && key !== null) this.#shared.set(key, true);
    return verdict;
  }

  /** Damage that was noted of what is no more, or was made good by others since, goes off the list. */
  async *#review(): AsyncIterable<void> {
    const { index, keeper, storage, store } = this.#parts;
    for (let after: { repo: RepoName; digest: Digest } | null = null; ;) {
      const page: readonly { repo: RepoName; digest: Digest; version: string }[] = await index.listDamage({
        after,
        limit: PAGE,
      });
      for (const { repo, digest, version } of page) {
        if (storage.storeOf(repo) !== store) continue;
        const stat = await statOf(storage.repository(repo), digest);
        if (stat === null || versionOf(stat) !== version)
          await keeper.damage.examine(repo, digest, (bytes) => this.#pause(bytes));
        yield;
      }
      after = page.at(-1) ?? null;
      if (after === null) return;
    }
  }

  #tell(verdict: ImageVerdict): void {
    const { logger, onImage } = this.#parts;
    this.counts.images += 1;
    onImage(verdict);
    const facts = { component: 'scrub', image: verdict.repository, tag: verdict.tag, status: verdict.status };
    const [first] = verdict.affected;
    if (first === undefined) return logger.info(facts, 'blobs/manifest ok');
    this.counts.affected += 1;
    const affected = { ...facts, 'affected blob': first.digest.replace(/^.*:/, ''), error: first.error };
    logger.warn(affected, 'blobs/manifest affected');
  }

  async #pause(bytes: number): Promise<void> {
    const context = this.#context;
    if (context === null || context.signal.aborted) throw new ScrubStopped('stopped');
    this.counts.bytesRead += bytes;
    if (bytes > 0) await this.#parts.rate.take(bytes, context.signal);
    await context.pause();
    if (context.signal.aborted) throw new ScrubStopped('stopped');
  }
}

/** A file that cannot be looked at is examined like one that is gone. */
async function statOf(store: RepositoryStore, digest: Digest): ReturnType<RepositoryStore['statBlob']> {
  try {
    return await store.statBlob(digest);
  } catch (error) {
    if (error instanceof StorageError) return null;
    throw error;
  }
}

/** In the order of the walk: a folder before those in it, names by characters. */
function isBefore(name: RepoName, other: RepoName): boolean {
  const [left, right] = [name.split('/'), other.split('/')];
  for (const [at, part] of left.entries()) {
    const against = right[at];
    if (against === undefined) return false;
    if (part !== against) return part < against;
  }
  return left.length < right.length;
}
