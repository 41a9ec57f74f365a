import type { TaskContext } from '../scheduler.ts';

/** Work is broken off because background work stops; what was begun is left as it was. */
export class PassStopped extends Error {}

/** To be awaited between pieces of a file; throws `PassStopped`. */
export async function pauseOrStop(context: TaskContext): Promise<void> {
  if (context.signal.aborted) throw new PassStopped('stopped');
  await context.pause();
}
