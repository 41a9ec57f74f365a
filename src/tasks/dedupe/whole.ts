import type { Digest } from '#oci/digest';
import type { RepositoryStore } from '#storage';
import type { TaskContext } from '../scheduler.ts';

/** Work is broken off because background work stops; what was begun is left as it was. */
export class PassStopped extends Error {}

/** To be awaited between pieces of a file; throws `PassStopped`. */
export async function pauseOrStop(context: TaskContext): Promise<void> {
  if (context.signal.aborted) throw new PassStopped('stopped');
  await context.pause();
}

/** Whether a blob's bytes have its digest; `null` when it is absent. Throws `PassStopped`. */
export async function isWhole(
  store: RepositoryStore,
  digest: Digest,
  context: TaskContext,
): Promise<boolean | null> {
  const found = await store.hashBlob(digest, () => pauseOrStop(context));
  return found === null ? null : found.digest === digest;
}
