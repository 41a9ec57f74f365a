import { WHOLE_REPOSITORY } from '#metadata';
import type { IndexWriter, RepositoryState } from '#metadata';
import type { WeightedLru } from '#lib/weighted-lru';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { FileStat, RepositoryStore } from '#storage';
import { readLayout } from './reconcile.ts';
import type { IndexChunks } from './index-chunks.ts';
import type { RepositoryWatches } from '../removal/repository-watches.ts';

export interface MirrorParts {
  readonly index: IndexWriter;
  /** Serialised index files, which a changed file makes useless. */
  readonly chunks: WeightedLru<RepoName, IndexChunks>;
  /** Who must hear of what another tool changed. */
  readonly watches: RepositoryWatches;
  /** Hears of damage and of files that cannot be used. */
  readonly report: (repo: string, digest: string | null, problem: string) => void;
  /** Hears of repositories that another tool changed, whose blobs the index may not know all. */
  readonly onOutsideChange?: (repo: RepoName) => void;
}

/**
 * Brings the index up to a repository's index.json, which other tools may change. To be called by the repository's
 * queue alone, between two batches.
 */
export class LayoutMirror {
  #store: RepositoryStore;
  #parts: MirrorParts;

  constructor(store: RepositoryStore, parts: MirrorParts) {
    this.#store = store;
    this.#parts = parts;
  }

  /** Brings the index up to the file, if another tool changed it, and gives the state; `null`: no repository. */
  async currentState(): Promise<RepositoryState | null> {
    const { index } = this.#parts;
    const state = await index.findRepository(this.#store.name);
    const stat = await this.#store.statIndex();
    if (stat === null) {
      if (state !== null) await this.forget();
      return null;
    }
    const doubtful = state !== null && state.doubtfulUntilMs > 0 && Date.now() >= state.doubtfulUntilMs;
    if (state?.fingerprint === stat.fingerprint && !doubtful) return state;
    await this.#readAgain(state);
    return index.findRepository(this.#store.name);
  }

  /** Takes a repository that is gone out of the index. */
  async forget(): Promise<void> {
    this.#parts.chunks.delete(this.#store.name);
    this.#parts.watches.readAgain(this.#store.name);
    await this.#parts.index.removeRepository(this.#store.name);
    await this.#noteWhole();
  }

  async #readAgain(state: RepositoryState | null): Promise<void> {
    const { index, report, chunks, watches } = this.#parts;
    const name = this.#store.name;
    chunks.delete(name);
    watches.readAgain(name);
    const read = await this.#read(state);
    if (read === null) return;
    const snapshot = await readLayout(this.#store, index, read, (digest, problem) =>
      report(name, digest, problem),
    );
    if (typeof snapshot !== 'string') {
      await index.replaceRepository(snapshot);
      await index.reviveReferenced(name);
      return this.#noteWhole();
    }
    report(name, null, `index.json cannot be used: ${snapshot}`);
    await this.#keepLastGood(state, read.stat, snapshot, read.bytes);
  }

  /** What another tool changed may have left garbage of which nobody was told. */
  async #noteWhole(): Promise<void> {
    await this.#parts.index.addCandidates([{ repo: this.#store.name, what: WHOLE_REPOSITORY, sinceMs: 0 }]);
    this.#parts.onOutsideChange?.(this.#store.name);
  }

  /** index.json; `null` when there is nothing to be read, which is noted. */
  async #read(state: RepositoryState | null): Promise<{ bytes: Buffer; stat: FileStat } | null> {
    try {
      const read = await this.#store.readIndex();
      if (read === null) await this.forget();
      return read;
    } catch (error) {
      const stat = await this.#store.statIndex();
      if (!(error instanceof StorageError && error.fault === 'invalid') || stat === null) throw error;
      const problem = `it is too large to be read (${stat.sizeBytes} bytes)`;
      this.#parts.report(this.#store.name, null, `index.json cannot be used: ${problem}`);
      await this.#keepLastGood(state, stat, problem, null);
      return null;
    }
  }

  /** Rows of the last good file stay; a file never read well leaves a repository without rows. */
  async #keepLastGood(
    state: RepositoryState | null,
    stat: FileStat,
    problem: string,
    bytes: Buffer | null,
  ): Promise<void> {
    const { index } = this.#parts;
    const next = { fingerprint: stat.fingerprint, doubtfulUntilMs: 0, unreadable: [], problem };
    if (state !== null)
      return index.setState(this.#store.name, { ...state, ...next, unreadable: state.unreadable });
    // A file without a byte of text has nothing to lose: a push may begin it anew.
    const hasNoText = bytes?.every((byte) => byte === 0 || byte === 0x20 || byte === 0x0a) ?? false;
    const head = hasNoText ? '{"schemaVersion":2' : '';
    const empty = { entries: [], manifests: [], kept: [], blobs: [] };
    await index.replaceRepository({ repo: this.#store.name, state: { ...next, head }, ...empty });
  }
}
