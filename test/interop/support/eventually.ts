import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until the answer is right. For changes that another program makes in the storage folder, which the registry
 * notices by looking: there is no event to wait for. Returns the milliseconds that passed; throws after `timeoutMs`.
 */
export async function eventually(
  isTrue: () => Promise<boolean>,
  timeoutMs: number,
  what: string,
): Promise<number> {
  const startMs = performance.now();
  while (performance.now() - startMs < timeoutMs) {
    if (await isTrue()) return performance.now() - startMs;
    await delay(50);
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`);
}
