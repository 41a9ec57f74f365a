import type { PullCount } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import type { Operation, Plan } from '../plans/operation.ts';
import { RepositoryWatch } from './repository-watch.ts';

/** Repositories whose last pull is remembered. */
const PULLED_MAX = 100_000;

/** Whoever judges what may go hears by these what happens meanwhile; costs nothing where nobody watches. */
export class RepositoryWatches {
  #watches = new Map<RepoName, Set<RepositoryWatch>>();
  /** Numbers of the last pulls. What fell out counts as pulled at the floor. */
  #pulls = new Map<RepoName, number>();
  #pullsFloor = 0;
  #pullsNext = 1;

  open(repo: RepoName): RepositoryWatch {
    const ofRepo = this.#watches.get(repo) ?? new Set();
    this.#watches.set(repo, ofRepo);
    const watch = new RepositoryWatch(repo, () => {
      ofRepo.delete(watch);
      if (ofRepo.size === 0 && this.#watches.get(repo) === ofRepo) this.#watches.delete(repo);
    });
    ofRepo.add(watch);
    return watch;
  }

  /** A number that grows when something of the repository is pulled. */
  pullMark(repo: RepoName): number {
    return this.#pulls.get(repo) ?? this.#pullsFloor;
  }

  pulled(counts: readonly PullCount[]): void {
    for (const { repo, digest } of counts) {
      for (const watch of this.#watches.get(repo) ?? []) watch.pull(digest);
      if (this.#pulls.size >= PULLED_MAX) {
        this.#pulls.clear();
        this.#pullsFloor = this.#pullsNext++;
      }
      this.#pulls.set(repo, this.#pullsNext++);
    }
  }

  /** To be called when an operation is planned, so that what is planned after it knows of it. */
  planned(repo: RepoName, operation: Operation, plan: Plan): void {
    for (const watch of this.#watches.get(repo) ?? []) {
      if (operation.kind === 'push') watch.push(operation.push.digest);
      if (mayOvertake(operation, plan, watch)) watch.overtake();
    }
  }

  /** The repository was read again, since another tool changed it. */
  readAgain(repo: RepoName): void {
    for (const watch of this.#watches.get(repo) ?? []) watch.overtake();
  }
}

function mayOvertake(operation: Operation, plan: Plan, watch: RepositoryWatch): boolean {
  if (plan.removedEntries.length === 0) return false;
  // What is new comes before what it replaces, so that nothing else would be kept.
  if (operation.kind === 'push') return !plan.isFirstPush;
  if (operation.kind === 'retire') return operation.watch !== watch;
  // Manifests without a tag that are collected did not count.
  if (operation.kind === 'collectManifest') return plan.removedEntries.some(({ tag }) => tag !== null);
  return true;
}
