import assert from 'node:assert/strict';
import { parseRepoPrefix } from '#oci/repo-prefix';
import type { RepoPrefix } from '#oci/repo-prefix';
import { isUnder } from '#oci/repo-prefix';
import type { Quota } from '#registry';
import type { Storage } from '#storage';
import type { OpenedRegistry } from '../support/opened-registry.ts';

/** Quotas whose limits are far away: they only count. */
export function countingQuotas(...prefixes: readonly string[]): Quota[] {
  return prefixes.map((text) => {
    const prefix = parseRepoPrefix(text);
    assert.ok(prefix !== null, text);
    return { prefix, maxBytes: 1e12 };
  });
}

/** What the files below a prefix hold, each digest once, and what uploads hold. */
async function recount(storage: Storage, prefix: RepoPrefix): Promise<{ used: number; reserved: number }> {
  const sizes = new Map<string, number>();
  let reserved = 0;
  for await (const { name } of storage.folders(assert.fail)) {
    if (!isUnder(name, prefix)) continue;
    const store = storage.repository(name);
    for await (const digest of store.listBlobs())
      sizes.set(digest, (await store.statBlob(digest))?.sizeBytes ?? 0);
    for await (const id of store.listUploads()) reserved += (await store.uploadSizeBytes(id)) ?? 0;
  }
  return { used: [...sizes.values()].reduce((sum, size) => sum + size, 0), reserved };
}

/** Every quota says exactly what is on the store, while nothing is under way. */
export async function requireExactCounts({ keeper, storage }: OpenedRegistry): Promise<void> {
  await keeper.quotas.settled();
  for (const { prefix, usedBytes, reservedBytes } of await keeper.quotaStatus()) {
    const { used, reserved } = await recount(storage, prefix);
    assert.deepEqual(
      { prefix, used: usedBytes, reserved: reservedBytes },
      { prefix, used, reserved },
      'the counts differ from the files',
    );
  }
}
