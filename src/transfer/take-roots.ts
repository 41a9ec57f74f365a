import { RegistryError } from '#oci/errors';
import { StorageError } from '#storage';
import type { ManifestIntake } from './manifest-intake.ts';
import type { Root } from './layout-index.ts';
import { TransferRefusal, printable } from './refusal.ts';
import type { Tally } from './tally.ts';

/** Taken together, so that their changes of index.json are written together. */
const ROOTS_AT_ONCE = 8;

/** Takes manifest after manifest; one that cannot be taken is skipped and named, and the others go on. */
export async function takeRoots(
  intake: ManifestIntake,
  roots: Iterable<Root> | AsyncIterable<Root>,
  tally: Tally,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let fault: { readonly error: unknown } | null = null;
  try {
    for await (const root of roots) {
      const one = takeRoot(intake, root, tally)
        .catch((error: unknown) => void (fault ??= { error }))
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= ROOTS_AT_ONCE) await Promise.race(running);
      if (fault !== null) break;
    }
  } finally {
    // Also when no more can be listed: what is under way needs the storage that is closed next.
    await Promise.all(running);
  }
  throwFault(fault);
}

function throwFault(fault: { readonly error: unknown } | null): void {
  if (fault !== null) throw fault.error;
}

async function takeRoot(intake: ManifestIntake, root: Root, tally: Tally): Promise<void> {
  try {
    await intake.take(root);
  } catch (error) {
    if (!isOfContent(error)) throw error;
    const tags = root.tags.length === 0 ? '' : ` (${root.tags.slice(0, 5).join(', ')})`;
    tally.skip(`${root.digest}${tags}`, printable(error.message));
  }
}

/** Codes of refusals that concern one manifest; with others there is no use in going on. */
const OF_CONTENT: readonly string[] = [
  'MANIFEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'DIGEST_INVALID',
  'SIZE_INVALID',
  'DENIED',
];

/** Whether an error is about what was to be transferred, so that something else may go well. */
export function isOfContent(error: unknown): error is Error {
  if (error instanceof TransferRefusal) return true;
  if (error instanceof RegistryError) return OF_CONTENT.includes(error.code);
  return error instanceof StorageError && (error.fault === 'corrupt' || error.fault === 'invalid');
}
