import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorOf, jsonOf, statusAndCode, type Answer } from './support/client.ts';
import {
  contentOf,
  descriptorOf,
  digestOf,
  expectStatus,
  imageOf,
  indexOf,
  pushBlob,
  pushImage,
  pushManifest,
} from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
before(async () => {
  served = await serveRegistry();
});
after(() => served.close());

const remove = (repo: string, reference: string): Promise<Answer> =>
  served.request('DELETE', `/v2/${repo}/manifests/${reference}`);
const removeBlob = (repo: string, digest: string): Promise<Answer> =>
  served.request('DELETE', `/v2/${repo}/blobs/${digest}`);
const status = async (repo: string, reference: string): Promise<number> =>
  (await served.request('HEAD', `/v2/${repo}/manifests/${reference}`)).status;
const tagsOf = async (repo: string): Promise<unknown> =>
  (jsonOf(await served.request('GET', `/v2/${repo}/tags/list`)) as { tags: unknown }).tags;

test('deleting a tag keeps the manifest and its other tags', async () => {
  const image = imageOf('by tag');
  await pushImage(served, 'tag', image, 'v1');
  await pushManifest(served, 'tag', image.manifest, 'v2');
  const answer = await remove('tag', 'v1');
  assert.equal(answer.status, 202);
  assert.equal(answer.body.length, 0);
  assert.equal(await status('tag', 'v1'), 404);
  assert.deepEqual(await tagsOf('tag'), ['v2']);
  expectStatus(await remove('tag', 'v2'), 202);
  assert.equal(await status('tag', image.manifest.digest), 200);
  assert.deepEqual(await tagsOf('tag'), []);
});

test('deleting by digest takes all tags and the bytes of the manifest', async () => {
  const image = imageOf('by digest');
  await pushImage(served, 'digest', image, 'v1');
  await pushManifest(served, 'digest', image.manifest, 'v2');
  expectStatus(await remove('digest', image.manifest.digest), 202);
  for (const reference of ['v1', 'v2', image.manifest.digest])
    assert.equal(await status('digest', reference), 404);
  const left = await filesBelow(served.root);
  assert.ok(!left.some((name) => name.endsWith(image.manifest.digest.slice(7))));
  const blob = await served.request('GET', `/v2/digest/blobs/${image.manifest.digest}`);
  assert.equal(statusAndCode(blob), '404 BLOB_UNKNOWN');
});

test('what was deleted can be pushed again', async () => {
  const image = imageOf('returns');
  for (let round = 0; round < 3; round += 1) {
    await pushImage(served, 'returns', image, 'v1');
    assert.equal(await status('returns', 'v1'), 200);
    expectStatus(await remove('returns', image.manifest.digest), 202);
    assert.equal(await status('returns', 'v1'), 404);
  }
});

test('what is not there is said', async () => {
  await pushImage(served, 'there', imageOf('there'), 'v1');
  const missing = digestOf('missing');
  assert.equal(statusAndCode(await remove('none', 'v1')), '404 NAME_UNKNOWN');
  assert.equal(statusAndCode(await remove('there', 'v2')), '404 MANIFEST_UNKNOWN');
  assert.equal(statusAndCode(await remove('there', missing)), '404 MANIFEST_UNKNOWN');
  assert.equal(statusAndCode(await removeBlob('there', missing)), '404 BLOB_UNKNOWN');
  assert.equal(statusAndCode(await removeBlob('none', missing)), '404 BLOB_UNKNOWN');
  assert.equal(statusAndCode(await removeBlob('there', 'sha256:x')), '400 DIGEST_INVALID');
});

test('a manifest that an index lists is in use: 405 DENIED, naming the index (zot)', async () => {
  const image = imageOf('listed');
  await pushImage(served, 'listed', image, 'v1');
  const inner = indexOf([descriptorOf(image.manifest)]);
  const outer = indexOf([descriptorOf(inner)]);
  await pushManifest(served, 'listed', inner);
  await pushManifest(served, 'listed', outer, 'multi');
  const denied = await remove('listed', image.manifest.digest);
  assert.equal(statusAndCode(denied), '405 DENIED');
  assert.equal(errorOf(denied).detail.index, inner.digest);
  assert.equal(statusAndCode(await remove('listed', inner.digest)), '405 DENIED');
  // Its tag may go.
  expectStatus(await remove('listed', 'v1'), 202);
  expectStatus(await remove('listed', outer.digest), 202);
  expectStatus(await remove('listed', inner.digest), 202);
  expectStatus(await remove('listed', image.manifest.digest), 202);
});

test('the children of a deleted index stay pullable where they were pushed themselves', async () => {
  const image = imageOf('child stays');
  await pushImage(served, 'children', image, image.manifest.digest);
  const index = indexOf([descriptorOf(image.manifest)]);
  await pushManifest(served, 'children', index, 'multi');
  expectStatus(await remove('children', index.digest), 202);
  assert.equal(await status('children', image.manifest.digest), 200);
});

test('a blob that a manifest uses is in use: 405 DENIED, naming the manifest (zot)', async () => {
  const image = imageOf('used');
  await pushImage(served, 'used', image, 'v1');
  for (const { digest } of [image.config, ...image.layers, image.manifest]) {
    const denied = await removeBlob('used', digest);
    assert.equal(statusAndCode(denied), '405 DENIED');
    assert.equal(errorOf(denied).detail.manifest, image.manifest.digest);
  }
  expectStatus(await remove('used', image.manifest.digest), 202);
  for (const { digest } of [image.config, ...image.layers]) {
    expectStatus(await removeBlob('used', digest), 202);
    assert.equal(statusAndCode(await removeBlob('used', digest)), '404 BLOB_UNKNOWN');
  }
});

test('a blob that nothing uses goes, in this repository only', async () => {
  const blob = contentOf('unused', 'application/octet-stream');
  for (const repo of ['unused/a', 'unused/b']) await pushBlob(served, repo, blob);
  expectStatus(await removeBlob('unused/a', blob.digest), 202);
  assert.equal((await served.request('HEAD', `/v2/unused/a/blobs/${blob.digest}`)).status, 404);
  assert.equal((await served.request('HEAD', `/v2/unused/b/blobs/${blob.digest}`)).status, 200);
});

test('a manifest whose bytes another manifest has as a layer leaves its bytes', async () => {
  const image = imageOf('as layer');
  await pushImage(served, 'layered', image, 'v1');
  const { digest, bytes } = image.manifest;
  const wrapper = imageOf('wrapper', {
    layers: [{ mediaType: 'application/octet-stream', digest, size: bytes.length }],
  });
  await pushBlob(served, 'layered', wrapper.config);
  await pushManifest(served, 'layered', wrapper.manifest, 'wrapper');
  expectStatus(await remove('layered', digest), 202);
  assert.equal(await status('layered', 'v1'), 404);
  assert.ok((await served.request('GET', `/v2/layered/blobs/${digest}`)).body.equals(bytes));
});
