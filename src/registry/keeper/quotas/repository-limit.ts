import { KeyedLock } from '#lib/keyed-lock';
import type { IndexWriter } from '#metadata';
import { RegistryError } from '#oci/errors';
import type { RepoName } from '#oci/repo-name';

/** zot's `maxRepos`: refuses the first manifest of a repository beyond a number of them. */
export class RepositoryLimit {
  #index: IndexWriter;
  #maxRepos: number;
  #locks = new KeyedLock();

  /** `maxRepos` of 0 or less is no limit. */
  constructor(index: IndexWriter, maxRepos: number) {
    this.#index = index;
    this.#maxRepos = maxRepos;
  }

  /**
   * Runs the work that pushes a manifest. First pushes to new repositories wait for each other, so that the limit
   * holds exactly. Throws `TOOMANYREQUESTS` (429, as zot).
   */
  async whilePushing<Result>(repo: RepoName, work: () => Promise<Result>): Promise<Result> {
    if (this.#maxRepos <= 0 || !(await this.#isNew(repo))) return work();
    return this.#locks.run('new', async () => {
      if (await this.#isNew(repo)) await this.#requireRoom();
      return work();
    });
  }

  /** As lists show it: a repository whose last manifest went is none any more. */
  async #isNew(repo: RepoName): Promise<boolean> {
    return (await this.#index.listEntries(repo, { afterPosition: -1, limit: 1 })).length === 0;
  }

  async #requireRoom(): Promise<void> {
    const limit = this.#maxRepos;
    if (!(await this.#index.hasRepositories(limit))) return;
    throw new RegistryError('TOOMANYREQUESTS', {
      message: `this registry takes no more than ${limit} repositories (storage.maxRepos)`,
      detail: { limit },
    });
  }
}
