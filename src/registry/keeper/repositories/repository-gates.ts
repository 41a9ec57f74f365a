import { AsyncLocalStorage } from 'node:async_hooks';
import type { RepoName } from '#oci/repo-name';

/** Somebody who is inside, until they leave. */
interface Pass {
  readonly repos: ReadonlySet<RepoName>;
  readonly outer: Pass | undefined;
  isInside: boolean;
}

/**
 * Lets changes of repositories go on beside each other, and keeps them out while a whole repository is moved or
 * removed. Changes inside changes (a blob's lock, then the queue) go through without waiting, or who waits for whom
 * would be a circle.
 */
export class RepositoryGates {
  #inside = new AsyncLocalStorage<Pass | undefined>();
  #active = new Map<RepoName, number>();
  /** Settles when the gate is open again. */
  #closed = new Map<RepoName, Promise<void>>();
  #drained = new Map<RepoName, () => void>();

  /** Runs a change of a repository, when its gate is open. */
  async pass<Result>(repo: RepoName, work: () => Promise<Result>): Promise<Result> {
    if (this.#isInside(repo)) return work();
    // Between the last look and the step through it nothing else may run.
    for (let closed = this.#closed.get(repo); closed !== undefined; closed = this.#closed.get(repo))
      await closed;
    this.#active.set(repo, (this.#active.get(repo) ?? 0) + 1);
    try {
      return await this.#enter([repo], work);
    } finally {
      this.#leave(repo);
    }
  }

  /** Begins work that goes on after whoever begins it has left: it passes the gates as anybody does. */
  outside<Result>(work: () => Result): Result {
    return this.#inside.run(undefined, work);
  }

  /** Runs work while nothing else changes these repositories. */
  async closed<Result>(repos: readonly RepoName[], work: () => Promise<Result>): Promise<Result> {
    const open: (() => void)[] = [];
    try {
      // In one order for all, or two could wait for each other.
      for (const repo of repos.toSorted()) open.push(await this.#close(repo));
      return await this.#enter(repos, work);
    } finally {
      for (const openOne of open) openOne();
    }
  }

  #isInside(repo: RepoName): boolean {
    for (let pass = this.#inside.getStore(); pass !== undefined; pass = pass.outer)
      if (pass.isInside && pass.repos.has(repo)) return true;
    return false;
  }

  async #enter<Result>(repos: readonly RepoName[], work: () => Promise<Result>): Promise<Result> {
    const pass: Pass = { repos: new Set(repos), outer: this.#inside.getStore(), isInside: true };
    try {
      return await this.#inside.run(pass, work);
    } finally {
      // What was begun inside and goes on afterwards has no right to pass any more.
      pass.isInside = false;
    }
  }

  #leave(repo: RepoName): void {
    const left = (this.#active.get(repo) ?? 0) - 1;
    if (left > 0) return void this.#active.set(repo, left);
    this.#active.delete(repo);
    this.#drained.get(repo)?.();
  }

  /** Closes a gate, and waits until all who are inside have left; gives what opens it. */
  async #close(repo: RepoName): Promise<() => void> {
    for (let closed = this.#closed.get(repo); closed !== undefined; closed = this.#closed.get(repo))
      await closed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed.set(repo, promise);
    if (this.#active.has(repo)) {
      const drained = Promise.withResolvers<void>();
      this.#drained.set(repo, drained.resolve);
      await drained.promise;
      this.#drained.delete(repo);
    }
    return () => {
      this.#closed.delete(repo);
      resolve();
    };
  }
}
