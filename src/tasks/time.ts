/** The clock and timers that background work lives by; tests bring their own. */
export interface Time {
  /** Milliseconds since the epoch; may jump. */
  nowMs(): number;
  /** Milliseconds that only grow. */
  elapsedMs(): number;
  /** Calls `work` once after a time, unless the function it gives is called before. */
  after(delayMs: number, work: () => void): () => void;
}

/** Node's timers take no longer delay than this. */
const DELAY_MS_MAX = 2_147_483_647;

export const systemTime: Time = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  after: (delayMs, work) => {
    const timer = setTimeout(work, Math.min(DELAY_MS_MAX, Math.max(0, delayMs)));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
