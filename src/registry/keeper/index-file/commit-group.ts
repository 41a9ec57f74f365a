import type { IndexWriter, RepositoryChange } from '#metadata';

/** Joins the changes of repositories that are ready at the same time into one transaction of the index. */
export class CommitGroup {
  #index: IndexWriter;
  #waiting: { change: RepositoryChange; settle: PromiseWithResolvers<void> }[] = [];
  #scheduled = false;

  constructor(index: IndexWriter) {
    this.#index = index;
  }

  commit(change: RepositoryChange): Promise<void> {
    const settle = Promise.withResolvers<void>();
    this.#waiting.push({ change, settle });
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => void this.#flush());
    }
    return settle.promise;
  }

  async #flush(): Promise<void> {
    this.#scheduled = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      await this.#index.applyChanges(waiting.map(({ change }) => change));
      for (const { settle } of waiting) settle.resolve();
    } catch (error) {
      for (const { settle } of waiting) settle.reject(error);
    }
  }
}
