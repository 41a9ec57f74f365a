import { setImmediate as nextTurn } from 'node:timers/promises';

/** Background work that goes on only when it is let. */
export class SteppedWork {
  #permits: (() => void)[] = [];
  #open = false;
  #running: Promise<unknown> | null = null;

  start(work: (pause: () => Promise<void>) => Promise<unknown>): void {
    if (this.#running !== null) return;
    this.#open = false;
    const pause = (): Promise<void> =>
      this.#open ? Promise.resolve() : new Promise((resolve) => this.#permits.push(resolve));
    this.#running = work(pause).finally(() => (this.#running = null));
    this.#running.catch(() => undefined);
  }

  async proceed(steps: number): Promise<void> {
    for (let at = 0; at < steps && this.#running !== null; at += 1) {
      this.#permits.shift()?.();
      for (let turn = 0; turn < 4; turn += 1) await nextTurn();
    }
  }

  async end(): Promise<void> {
    this.#open = true;
    const running = this.#running;
    for (const permit of this.#permits.splice(0)) permit();
    await running;
  }
}
