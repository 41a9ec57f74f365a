import type { Time } from './time.ts';

/** Settles when the time is over, or at once when `signal` is aborted. */
export async function restOrStop(time: Time, restMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const cancel = time.after(restMs, done);
    function done(): void {
      signal.removeEventListener('abort', done);
      cancel();
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}

/** Settles when `ready` does, or at once when `signal` is aborted. */
export async function readyOrStopped(ready: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener('abort', stop);
  await Promise.race([ready, promise]);
  signal.removeEventListener('abort', stop);
}
