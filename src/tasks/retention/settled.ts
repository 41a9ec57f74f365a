import { WeightedLru } from '#lib/weighted-lru';
import type { RepoName } from '#oci/repo-name';
import type { RetentionPolicy } from './settings.ts';

/** Repositories remembered; others are judged in every round. */
const REPOSITORIES_MAX = 200_000;

/** What a judgement was made of. */
export interface JudgedState {
  readonly policy: RetentionPolicy;
  /** The version of index.json. */
  readonly fingerprint: string;
  /** See `RetentionDesk.pullMark`; `null` where pulls can take nothing away. */
  readonly pullMark: number | null;
}

/**
 * Repositories in which everything stays, as long as they do not change: a round passes them by. Disposable: what
 * is forgotten is judged again.
 */
export class SettledRepositories {
  #settled = new WeightedLru<RepoName, { readonly state: JudgedState; readonly untilMs: number }>(
    REPOSITORIES_MAX,
  );

  /** Notes that nothing goes before `untilMs`, in the steady time of the process, unless something changes. */
  note(repo: RepoName, state: JudgedState, untilMs: number): void {
    this.#settled.set(repo, { state, untilMs });
  }

  isSettled(repo: RepoName, now: Omit<JudgedState, 'pullMark'>, at: Moment): boolean {
    const found = this.#settled.get(repo);
    if (found === undefined || found.untilMs <= at.runningMs) return false;
    const { policy, fingerprint, pullMark } = found.state;
    const isSame = policy === now.policy && fingerprint === now.fingerprint;
    return isSame && (pullMark === null || pullMark === at.pullMark);
  }
}

interface Moment {
  readonly runningMs: number;
  readonly pullMark: number;
}
