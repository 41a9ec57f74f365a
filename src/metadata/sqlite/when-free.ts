import { setTimeout as delay } from 'node:timers/promises';

const TRIES = 20;
const PAUSE_MS = 5;
/** SQLITE_BUSY; the low byte of the extended codes as well. */
const BUSY = 5;

/**
 * Runs a look-up, again after a short pause while another process folds the journal back (the database's own waiting
 * would stop the event loop). Throws what the look-up throws, at the latest after a tenth of a second of that.
 */
export async function whenFree<Result>(lookUp: () => Result): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return lookUp();
    } catch (error) {
      if (attempt >= TRIES || !isBusy(error)) throw error;
    }
    await delay(PAUSE_MS);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === BUSY;
}
