import type { GcSettings } from './gc-rules.ts';

/** Being late by less is no news, however often collection runs. */
const BOUND_MS_MIN = 60_000;
const DAY_MS = 86_400_000;

/** By how much a collection may be late in the course of things: until the next sweep, which waits for its window. */
export function lateMax({ intervalMs, window }: Pick<GcSettings, 'intervalMs' | 'window'>): number {
  return Math.max(BOUND_MS_MIN, intervalMs) + (window === null ? 0 : DAY_MS);
}

/**
 * How far a sweep is behind: how long that which it deals with was due, or how long it lasts itself, whichever is
 * more. What is kept for a reason, however old, does not count.
 */
export class Lateness {
  readonly #maxMs: number;
  readonly #elapsedMs: () => number;
  readonly #beganMs: number;
  #lateMs = 0;
  #worstMs = 0;

  /** `maxMs`: as of `lateMax`. `elapsedMs`: a clock that only grows. */
  constructor(maxMs: number, elapsedMs: () => number) {
    this.#maxMs = maxMs;
    this.#elapsedMs = elapsedMs;
    this.#beganMs = elapsedMs();
  }

  /** Takes note of what was just dealt with, by how long each had been due; it counts until the next of these. */
  note(lateMs: readonly number[]): void {
    this.#lateMs = Math.max(0, ...lateMs);
    this.#worstMs = Math.max(this.#worstMs, this.#lateMs);
  }

  /** 0: it keeps up. It grows from there to 1, at twice what is in the course of things. */
  get degree(): number {
    const ms = Math.max(this.#lateMs, this.#lastsMs) - this.#maxMs;
    return Math.min(1, Math.max(0, ms / this.#maxMs));
  }

  /** How far behind it was at worst, beyond what is in the course of things; 0 when it kept up. */
  get behindMs(): number {
    return Math.max(0, Math.round(Math.max(this.#worstMs, this.#lastsMs) - this.#maxMs));
  }

  get #lastsMs(): number {
    return this.#elapsedMs() - this.#beganMs;
  }
}
