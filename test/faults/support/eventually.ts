import { setTimeout as pause } from 'node:timers/promises';

const PAUSE_MS = 10;

/** Tries again until `attempt` succeeds; throws its last error when the time is over. */
export async function eventually<Result>(attempt: () => Promise<Result>, timeoutMs: number): Promise<Result> {
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
