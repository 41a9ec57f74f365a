import type { Garbage } from '#metadata';
import type { Time } from '../time.ts';

/** What has times that are held against the clock. */
export interface Timed {
  readonly index: Pick<Garbage, 'shiftTimes' | 'clampTimes'>;
  readonly tags: Pick<Garbage, 'shiftTimes' | 'clampTimes'>;
}

/** A wall clock that moved by less against the steady one was adjusted, not set. */
const JUMP_MS = 1000;

interface Jump {
  /** What the wall clock would show now without the jump, as an offset of the steady one. */
  readonly offsetMs: number;
  byMs: number;
}

/**
 * The age of things, whatever is done to the wall clock while the process runs. When it was set forward, the times
 * of the index are moved along, so that nothing aged by it; when it was set back, times of the future become now.
 * One is shared by all sweeps of a process.
 */
export class SweepClock {
  #time: Time;
  #startedMs: number;
  #offsetMs: number;
  #jumps: Jump[] = [];

  constructor(time: Time) {
    this.#time = time;
    this.#startedMs = time.elapsedMs();
    this.#offsetMs = time.nowMs() - this.#startedMs;
  }

  /** Looks at the wall clock; to be called before a sweep, which then sees a steady time. */
  async correct(timed: Timed): Promise<void> {
    const byMs = this.#time.nowMs() - this.#time.elapsedMs() - this.#offsetMs;
    if (Math.abs(byMs) >= JUMP_MS) {
      // First, so that nobody else who looks meanwhile moves the times once more.
      this.#remember(byMs);
      this.#offsetMs += byMs;
      if (byMs > 0) {
        await timed.index.shiftTimes(byMs);
        await timed.tags.shiftTimes(byMs);
      }
    }
    await timed.index.clampTimes(this.nowMs());
    await timed.tags.clampTimes(this.nowMs());
  }

  #remember(byMs: number): void {
    if (byMs > 0) this.#jumps.push({ offsetMs: this.#offsetMs, byMs });
    let backMs = -byMs;
    for (let last = this.#jumps.at(-1); backMs > 0 && last !== undefined; last = this.#jumps.at(-1)) {
      const takenMs = Math.min(backMs, last.byMs);
      last.byMs -= takenMs;
      backMs -= takenMs;
      if (last.byMs > 0) break;
      this.#jumps.pop();
    }
  }

  /** Milliseconds since the epoch, steady since the last `correct`. */
  nowMs(): number {
    return this.#offsetMs + this.#time.elapsedMs();
  }

  /** How long ago a file was written, by its own time; negative when that lies in the future. */
  ageMs(modifiedMs: number): number {
    const elapsedMs = this.#time.elapsedMs();
    const jumpsMs = this.#jumps
      .filter((jump) => modifiedMs <= jump.offsetMs + elapsedMs)
      .reduce((sum, jump) => sum + jump.byMs, 0);
    return this.nowMs() - modifiedMs - jumpsMs;
  }

  /** How long this process runs. */
  get runningMs(): number {
    return this.#time.elapsedMs() - this.#startedMs;
  }
}
