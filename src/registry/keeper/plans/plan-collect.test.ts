import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OCI_CONFIG } from '#oci/media-types';
import { openKeeper, pushOf } from '../../../../test/support/opened-keeper.ts';
import type { OpenedKeeper } from '../../../../test/support/opened-keeper.ts';
import { isDead } from './plan-collect.ts';

async function withKeeper(work: (opened: OpenedKeeper) => Promise<void>): Promise<void> {
  const opened = await openKeeper();
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

test('a name whose manifest is gone is pruned, but not where nothing is to be found at all', () =>
  withKeeper(async (opened) => {
    const { keeper, index, repo, store } = opened;
    const config = await opened.putBlob('{"a":1}', OCI_CONFIG);
    const image = pushOf(repo, { config, layers: [] }, ['v1']);
    const other = pushOf(repo, { config, layers: [], annotations: { other: 'yes' } }, ['v2']);
    for (const push of [image, other]) await keeper.pushManifest(push);
    assert.equal(await isDead(index, store, image.digest), false);
    // As another program leaves it: the file is gone, and index.json is read again.
    await store.deleteBlob(image.digest);
    const read = await store.readIndex();
    assert.ok(read);
    await index.removeRepository(repo);
    await keeper.refresh(repo);
    assert.equal(await isDead(index, store, image.digest), true);
    assert.equal(await isDead(index, store, other.digest), false);
    const files = [config.digest, other.digest];
    const kept = await Promise.all(files.map((digest) => store.readManifest(digest, 10_000)));
    for (const digest of files) await store.deleteBlob(digest);
    assert.equal(await isDead(index, store, image.digest), false);
    assert.equal(await keeper.garbage.pruneDead(repo, image.digest), false);
    for (const [at, digest] of files.entries()) await store.putManifest(digest, kept[at] ?? Buffer.alloc(0));
    assert.equal(await keeper.garbage.pruneDead(repo, image.digest), true);
    assert.deepEqual(await index.listTags(repo, { after: '', limit: 10 }), ['v2']);
  }));
