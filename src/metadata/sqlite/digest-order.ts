import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '#oci/digest';

/** Sorted in one go: a few milliseconds. */
const AT_ONCE_MAX = 4000;
/** Characters of the algorithm and two of the hexadecimal digits: some 256 buckets for each algorithm. */
const PREFIX_LENGTH = 'sha256:00'.length;

/**
 * Sorts by digest, yielding to the event loop on the way. Rows written in the order of their key touch each page of
 * the table once: 100,000 in any other order take ten times as long.
 */
export async function inDigestOrder<Item>(
  items: readonly Item[],
  digestOf: (item: Item) => Digest,
): Promise<readonly Item[]> {
  const compare = (left: Item, right: Item): number => (digestOf(left) < digestOf(right) ? -1 : 1);
  if (items.length <= AT_ONCE_MAX) return items.toSorted(compare);
  const buckets = Map.groupBy(items, (item) => digestOf(item).slice(0, PREFIX_LENGTH));
  const sorted: Item[] = [];
  for (const prefix of [...buckets.keys()].toSorted()) {
    await nextTurn();
    for (const item of (buckets.get(prefix) ?? []).toSorted(compare)) sorted.push(item);
  }
  return sorted;
}
