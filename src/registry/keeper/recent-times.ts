import { WeightedLru } from '#lib/weighted-lru';

/** What is remembered at most; beyond it the times of files and rows alone protect. */
const REMEMBERED_MAX = 200_000;

/** When things last happened, by a clock that only runs forward, so that a wall clock that jumps ages nothing. */
export class RecentTimes {
  #times = new WeightedLru<string, number>(REMEMBERED_MAX);

  note(key: string): void {
    this.#times.set(key, performance.now());
  }

  isWithin(key: string, withinMs: number): boolean {
    const atMs = this.#times.get(key);
    return atMs !== undefined && performance.now() - atMs < withinMs;
  }
}
