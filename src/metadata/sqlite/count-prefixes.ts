import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { IndexRows } from './index-rows.ts';

/**
 * Counts for exactly these prefixes: forgets the others, and counts the rows that are there, `sliceRows` between
 * two turns of the event loop.
 */
export async function countPrefixes(
  rows: IndexRows,
  prefixes: readonly RepoPrefix[],
  sliceRows: number,
): Promise<void> {
  const { quotas } = rows;
  rows.transaction(() => {
    for (const prefix of quotas.prefixes) if (!prefixes.includes(prefix)) quotas.drop(prefix);
    for (const prefix of prefixes) if (!quotas.prefixes.includes(prefix)) quotas.add(prefix);
  });
  quotas.reload();
  try {
    while (rows.transaction(() => quotas.removeDropped(sliceRows))) await nextTurn();
    while (rows.transaction(() => quotas.countSlice(sliceRows))) await nextTurn();
  } catch (error) {
    quotas.reload();
    throw error;
  }
}
