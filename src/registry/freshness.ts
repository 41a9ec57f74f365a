import type { IndexReader } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import { WeightedLru } from '#lib/weighted-lru';
import type { Storage } from '#storage';
import type { Keeper } from './keeper/keeper-contract.ts';

/** How long an answer about a repository's index.json is trusted before the file is looked at again. */
const TRUSTED_MS = 1000;
const REMEMBERED_MAX = 50_000;

/**
 * Notices when another tool changed a repository's index.json, or a repository came or went: at most one look a
 * second and repository, by comparing the file's fingerprint with the one the index was read from.
 */
export class Freshness {
  #storage: Storage;
  #index: IndexReader;
  #keeper: Keeper;
  #report: (problem: string, error: unknown) => void;
  #checkedMs = new WeightedLru<RepoName, number>(REMEMBERED_MAX);
  #running = new Map<RepoName, Promise<void>>();

  /** `report` hears of a repository whose changes could not be taken in. */
  constructor(
    storage: Storage,
    index: IndexReader,
    keeper: Keeper,
    report: (problem: string, error: unknown) => void = () => undefined,
  ) {
    this.#storage = storage;
    this.#index = index;
    this.#keeper = keeper;
    this.#report = report;
  }

  /** Whether the index may be asked at once; if not, `check` has to be awaited first. */
  isFresh(repo: RepoName): boolean {
    const checkedMs = this.#checkedMs.get(repo);
    return checkedMs !== undefined && performance.now() - checkedMs < TRUSTED_MS;
  }

  /** Brings the index up to the repository's file, once for all who ask at the same time. */
  check(repo: RepoName): Promise<void> {
    const running = this.#running.get(repo);
    if (running !== undefined) return running;
    const check = this.#check(repo).finally(() => this.#running.delete(repo));
    this.#running.set(repo, check);
    return check;
  }

  async #check(repo: RepoName): Promise<void> {
    const startedMs = performance.now();
    const [state, stat] = await Promise.all([
      this.#index.findRepository(repo),
      this.#storage.repository(repo).statIndex(),
    ]);
    const doubtful = state !== null && state.doubtfulUntilMs > 0 && Date.now() >= state.doubtfulUntilMs;
    if (doubtful || (state?.fingerprint ?? null) !== (stat?.fingerprint ?? null))
      await this.#refresh(repo, state !== null);
    this.#checkedMs.set(repo, startedMs);
  }

  /** Where the index cannot follow, as on a full disk, what it holds is the last state that was good. */
  async #refresh(repo: RepoName, isKnown: boolean): Promise<void> {
    try {
      await this.#keeper.refresh(repo);
    } catch (error) {
      if (!isKnown) throw error;
      this.#report(`the index cannot follow index.json of ${repo}; an older state is served`, error);
    }
  }
}
