/** Joins what is asked for in one turn of the event loop into one call, whose outcome is that of each. */
export class JoinedCalls<Item> {
  #work: (items: readonly Item[]) => Promise<void>;
  #waiting: { readonly item: Item; readonly settle: PromiseWithResolvers<void> }[] = [];

  constructor(work: (items: readonly Item[]) => Promise<void>) {
    this.#work = work;
  }

  /** Settles when the call that took the item has. */
  run(item: Item): Promise<void> {
    const settle = Promise.withResolvers<void>();
    this.#waiting.push({ item, settle });
    if (this.#waiting.length === 1) setImmediate(() => void this.#flush());
    return settle.promise;
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      await this.#work(waiting.map(({ item }) => item));
      for (const { settle } of waiting) settle.resolve();
    } catch (error) {
      for (const { settle } of waiting) settle.reject(error);
    }
  }
}
