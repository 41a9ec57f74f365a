import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RegistryError } from '#oci/errors';
import { parseTag } from '#oci/reference';
import {
  childOf,
  openKeeper,
  pushOf,
  type OpenedKeeper,
  type PlainDescriptor,
} from '../../../../test/support/opened-keeper.ts';
import type { ManifestPush } from '../keeper-contract.ts';
import { planDeleteBlob, planDeleteManifest, planDeleteTag } from './plan-delete.ts';

let opened: OpenedKeeper;
let config: PlainDescriptor;
before(async () => {
  opened = await openKeeper();
  config = await opened.putBlob('{}', 'application/vnd.oci.empty.v1+json');
});
after(() => opened.close());

let count = 0;
async function pushed(members: Record<string, unknown>, tags: readonly string[] = []): Promise<ManifestPush> {
  const unique = { annotations: { count: String((count += 1)) } };
  const push = pushOf(opened.repo, { ...unique, ...members }, tags);
  await opened.keeper.pushManifest(push);
  return push;
}
const image = (tags: readonly string[] = []): Promise<ManifestPush> => pushed({ config, layers: [] }, tags);

const deleteTag = (tag: string) => planDeleteTag(opened.repo, parseTag(tag), opened.index, Date.now());
const deleteManifest = (push: ManifestPush, tagsMax = Infinity) =>
  planDeleteManifest(opened.repo, { digest: push.digest, tagsMax }, opened.index, Date.now());
const isRefused = (code: string, status: number) => (error: unknown) =>
  error instanceof RegistryError && error.code === code && error.status === status;

test('a tag that goes leaves its manifest, without a tag when it was the last', async () => {
  const push = await image(['a1', 'a2']);
  const first = await deleteTag('a1');
  assert.deepEqual(
    first.removedEntries.map(({ tag }) => tag),
    ['a1'],
  );
  assert.deepEqual(first.addedEntries, []);
  await opened.keeper.deleteManifest(opened.repo, { kind: 'tag', tag: parseTag('a1') }, Infinity);
  const last = await deleteTag('a2');
  assert.deepEqual(
    last.addedEntries.map(({ digest, tag }) => [digest, tag]),
    [[push.digest, null]],
  );
  assert.doesNotMatch(last.addedEntries[0]?.json ?? '', /ref\.name/);
  await assert.rejects(deleteTag('none'), isRefused('MANIFEST_UNKNOWN', 404));
});

test('a manifest goes with all its tags, its rows and its bytes', async () => {
  const push = await image(['b1', 'b2']);
  const plan = await deleteManifest(push);
  assert.equal(plan.removedEntries.length, 2);
  assert.deepEqual([plan.removedManifests, plan.removedFiles], [[push.digest], [push.digest]]);
});

test('more tags than the caller wants to remove are refused with 409', async () => {
  const push = await image(['c1', 'c2', 'c3']);
  await assert.rejects(deleteManifest(push, 1), isRefused('DENIED', 409));
  assert.equal((await deleteManifest(push, 3)).removedEntries.length, 3);
});

test('a manifest that an index lists is in use, an index that only itself lists is not', async () => {
  const child = await image();
  const list = await pushed({ manifests: [childOf(child)] });
  await assert.rejects(deleteManifest(child), isRefused('DENIED', 405));
  assert.deepEqual((await deleteManifest(list)).removedManifests, [list.digest]);
});

test('children that were known through the index only go with it, those of another index stay', async () => {
  const config2 = await opened.putBlob('{"2":2}');
  const child = pushOf(opened.repo, { config: config2, layers: [] });
  await opened.putBlob(child.bytes.toString(), child.mediaType);
  const one = await pushed({ manifests: [childOf(child)] });
  assert.deepEqual(
    [...(await deleteManifest(one)).removedManifests].sort(),
    [child.digest, one.digest].sort(),
  );
  await pushed({ manifests: [childOf(child)] });
  assert.deepEqual((await deleteManifest(one)).removedManifests, [one.digest]);
});

test('bytes that another manifest has as a layer stay', async () => {
  const push = await image();
  await pushed({ config, layers: [{ ...childOf(push), mediaType: 'application/octet-stream' }] });
  assert.deepEqual((await deleteManifest(push)).removedFiles, []);
});

test('a blob goes only when no manifest uses it and it is none itself', async () => {
  const layer = await opened.putBlob('a layer');
  const free = await opened.putBlob('a free blob');
  const push = await pushed({ config, layers: [layer] });
  const deleteBlob = (digest: PlainDescriptor['digest']) =>
    planDeleteBlob(opened.repo, digest, opened.index, opened.store);
  for (const digest of [layer.digest, config.digest, push.digest]) {
    await assert.rejects(deleteBlob(digest), isRefused('DENIED', 405));
  }
  assert.deepEqual((await deleteBlob(free.digest)).removedFiles, [free.digest]);
  await opened.keeper.deleteBlob(opened.repo, free.digest);
  await assert.rejects(deleteBlob(free.digest), isRefused('BLOB_UNKNOWN', 404));
});
