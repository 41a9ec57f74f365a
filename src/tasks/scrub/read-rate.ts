import type { Time } from '../time.ts';
import { restOrStop } from '../waiting.ts';

/** Keeps reading to a number of bytes in a second, for all who share it. */
export class ReadRate {
  #time: Time;
  #bytesPerSecond: number;
  /** When what was read so far is paid for, by the steady clock. */
  #paidMs = -Infinity;

  /** `bytesPerSecond` 0: as fast as it goes. */
  constructor(bytesPerSecond: number, time: Time) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#time = time;
  }

  set bytesPerSecond(bytes: number) {
    this.#bytesPerSecond = bytes;
  }

  /** Settles when `bytes` that were read are within the rate, or at once when `signal` is aborted. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond <= 0) return;
    const nowMs = this.#time.elapsedMs();
    this.#paidMs = Math.max(this.#paidMs, nowMs) + (bytes * 1000) / this.#bytesPerSecond;
    const waitMs = this.#paidMs - nowMs;
    if (waitMs >= 1) await restOrStop(this.#time, waitMs, signal);
  }
}
