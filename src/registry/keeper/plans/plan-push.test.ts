import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RegistryError } from '#oci/errors';
import type { ErrorCode } from '#oci/errors';
import {
  childOf,
  openKeeper,
  pushOf,
  type OpenedKeeper,
  type PlainDescriptor,
} from '../../../../test/support/opened-keeper.ts';
import type { ManifestPush } from '../keeper-contract.ts';
import type { Plan } from './operation.ts';
import { planPush } from './plan-push.ts';

let opened: OpenedKeeper;
let config: PlainDescriptor;
before(async () => {
  opened = await openKeeper();
  config = await opened.putBlob('{}', 'application/vnd.oci.empty.v1+json');
});
after(() => opened.close());

let count = 0;
/** An image that nobody pushed yet. */
const image = (tags: readonly string[] = [], members: Record<string, unknown> = {}): ManifestPush =>
  pushOf(opened.repo, { config, layers: [], annotations: { count: String((count += 1)) }, ...members }, tags);

const plan = (push: ManifestPush): Promise<Plan> => planPush(push, opened.index, opened.store, Date.now());
const added = ({ addedEntries }: Plan) => addedEntries.map(({ digest, tag }) => [digest, tag]);
const removed = ({ removedEntries }: Plan) => removedEntries.map(({ digest, tag }) => [digest, tag]);
const isError = (code: ErrorCode) => (error: unknown) =>
  error instanceof RegistryError && error.code === code;

test('a new manifest gets a descriptor for each tag, or one without a tag', async () => {
  const tagged = image(['a1', 'a2']);
  assert.deepEqual(added(await plan(tagged)), [
    [tagged.digest, 'a1'],
    [tagged.digest, 'a2'],
  ]);
  const bare = image();
  assert.deepEqual(added(await plan(bare)), [[bare.digest, null]]);
  assert.deepEqual((await plan(bare)).manifestBytes, { digest: bare.digest, bytes: bare.bytes });
});

test('what stands there already is not written again', async () => {
  const push = image(['b']);
  await opened.keeper.pushManifest(push);
  for (const again of [push, { ...push, tags: [] }]) {
    const { addedEntries, removedEntries } = await plan(again);
    assert.deepEqual([addedEntries, removedEntries], [[], []]);
  }
});

test('a first tag replaces the descriptor without one', async () => {
  const push = image();
  await opened.keeper.pushManifest(push);
  const planned = await plan(pushAgain(push, ['c']));
  assert.deepEqual(removed(planned), [[push.digest, null]]);
  assert.deepEqual(added(planned), [[push.digest, 'c']]);
});

test('a tag that moves leaves the old manifest listed, without a tag when it was the last', async () => {
  const old = image(['d1', 'd2']);
  await opened.keeper.pushManifest(old);
  const next = image(['d1']);
  assert.deepEqual(added(await plan(next)), [[next.digest, 'd1']]);
  const both = image(['d1', 'd2']);
  const planned = await plan(both);
  assert.deepEqual(removed(planned), [
    [old.digest, 'd1'],
    [old.digest, 'd2'],
  ]);
  assert.deepEqual(added(planned), [
    [old.digest, null],
    [both.digest, 'd1'],
    [both.digest, 'd2'],
  ]);
  // What lost its last tag may be garbage one day.
  assert.ok(planned.candidates.some(({ what }) => what === old.digest));
});

test('everything that is missing is named, up to a bound', async () => {
  const missing = Array.from({ length: 30 }, (_, at) => ({
    mediaType: 'application/octet-stream',
    digest: `sha256:${String(at).padStart(64, '0')}`,
    size: 1,
  }));
  await assert.rejects(plan(image([], { layers: missing })), (error) => {
    assert.ok(isError('MANIFEST_BLOB_UNKNOWN')(error));
    assert.deepEqual(
      (error as RegistryError).detail?.['missing'],
      missing.slice(0, 20).map(({ digest }) => digest),
    );
    assert.match((error as RegistryError).message, /and 10 more$/);
    return true;
  });
});

test('sizes are compared with what is there', async () => {
  await assert.rejects(plan(image([], { config: { ...config, size: 3 } })), isError('MANIFEST_INVALID'));
  const child = image();
  await opened.keeper.pushManifest(child);
  const listed = pushOf(opened.repo, { manifests: [{ ...childOf(child), size: 1 }] });
  await assert.rejects(plan(listed), isError('MANIFEST_INVALID'));
});

test('a blob that the index does not know is found on the store and noted', async () => {
  const layer = await opened.putBlob('found later');
  await opened.index.removeBlobs(opened.repo, [layer.digest]);
  const { foundBlobs } = await plan(image([], { layers: [layer] }));
  assert.deepEqual(foundBlobs, [{ digest: layer.digest, sizeBytes: layer.size }]);
});

test('a child that came as a blob becomes a manifest; one that is a manifest does not come twice', async () => {
  const child = image();
  await opened.putBlob(child.bytes.toString(), child.mediaType);
  const list = pushOf(opened.repo, { manifests: [childOf(child)] });
  const { addedManifests } = await plan(list);
  assert.deepEqual(addedManifests.map(({ digest }) => digest).sort(), [child.digest, list.digest].sort());
  await opened.keeper.pushManifest(list);
  const other = pushOf(opened.repo, { manifests: [childOf(child)], annotations: { other: 'yes' } });
  assert.deepEqual(
    (await plan(other)).addedManifests.map(({ digest }) => digest),
    [other.digest],
  );
});

test('a child that is no manifest of its type is refused with its parent', async () => {
  const blob = await opened.putBlob('no manifest', 'application/vnd.oci.image.manifest.v1+json');
  await assert.rejects(plan(pushOf(opened.repo, { manifests: [blob] })), isError('MANIFEST_INVALID'));
});

test('layers that may not be distributed are not looked for', async () => {
  const foreign = {
    mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
    digest: `sha256:${'f'.repeat(64)}`,
    size: 1,
  };
  assert.equal((await plan(image([], { layers: [foreign] }))).addedEntries.length, 1);
});

function pushAgain(push: ManifestPush, tags: readonly string[]): ManifestPush {
  const body = JSON.parse(push.bytes.toString()) as Record<string, unknown>;
  const again = pushOf(push.repo, body, tags);
  assert.equal(again.digest, push.digest);
  return again;
}
