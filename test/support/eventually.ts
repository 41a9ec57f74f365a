import { setTimeout as pause } from 'node:timers/promises';

const PAUSE_MS = 10;

/**
 * Asks until the answer is right: for changes that a server or another program notices by looking, so that there is no
 * event to wait for. Returns the milliseconds that passed; throws after `timeoutMs`, and what `isSo` throws at once.
 */
export async function eventually(
  isSo: () => Promise<boolean> | boolean,
  timeoutMs: number,
  what: string,
): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    if (await isSo()) return performance.now() - startMs;
    if (performance.now() - startMs > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await pause(PAUSE_MS);
  }
}

/** Tries again until `attempt` succeeds; throws its last error when the time is over. */
export async function retry<Result>(attempt: () => Promise<Result>, timeoutMs: number): Promise<Result> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
    await pause(PAUSE_MS);
  }
}
