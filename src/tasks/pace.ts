import type { Time } from './time.ts';
import { restOrStop } from './waiting.ts';

/** Background work takes at most this share of the time, so that requests do not feel it. */
const SHARE = 0.3;
/** The share of work that is hopelessly behind: what is not done now will be in the way of requests later. */
const SHARE_MAX = 0.6;
/** Work this long may be done in one go. */
const SLICE_MS = 5;

/**
 * Paces background work: after each slice of work it rests long enough to keep the work to its share. One pace is
 * shared by all tasks, so that more of them do not take more.
 */
export class Pace {
  #time: Time;
  #sliceStartMs: number;

  constructor(time: Time) {
    this.#time = time;
    this.#sliceStartMs = time.elapsedMs();
  }

  /**
   * Settles when more work may be done, or at once when `signal` is aborted. `urgency`: how far the work that asks is
   * behind, from 0 (not at all) to 1, by which its share grows.
   */
  async pause(signal: AbortSignal, urgency = 0): Promise<void> {
    const workedMs = this.#time.elapsedMs() - this.#sliceStartMs;
    if (workedMs < SLICE_MS || signal.aborted) return;
    // A slice that waited for the disk counts as no more than a few slices of work.
    const restMs = Math.min(workedMs, 4 * SLICE_MS) * (1 / shareOf(urgency) - 1);
    await restOrStop(this.#time, restMs, signal);
    this.#sliceStartMs = this.#time.elapsedMs();
  }
}

function shareOf(urgency: number): number {
  return SHARE + (SHARE_MAX - SHARE) * Math.min(1, Math.max(0, urgency));
}
