import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { statusAndCode } from './support/client.ts';
import { imageOf, pushBlob, pushImage, type Content } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
before(async () => {
  served = await serveRegistry();
});
after(() => served.close());

const fileOf = (repo: string, { digest }: Content): string =>
  path.join(served.root, repo, 'blobs', ...digest.split(':'));
const statusOf = async (method: string, target: string): Promise<string> =>
  statusAndCode(await served.request(method, target));

test('a blob whose file has another size, or is gone, is absent until it is pushed again', async () => {
  const image = imageOf('damaged blob');
  const [layer] = image.layers;
  assert.ok(layer);
  await pushImage(served, 'blob', image, 'v1');
  const target = `/v2/blob/blobs/${layer.digest}`;
  for (const damage of [
    () => truncate(fileOf('blob', layer), 3),
    () => truncate(fileOf('blob', layer)),
    () => rm(fileOf('blob', layer)),
  ]) {
    await damage();
    assert.equal(await statusOf('GET', target), '404 BLOB_UNKNOWN');
    assert.equal((await served.request('HEAD', target)).status, 404);
    const range = await served.request('GET', target, { headers: { range: 'bytes=0-1' } });
    assert.equal(statusAndCode(range), '404 BLOB_UNKNOWN');
    await pushBlob(served, 'blob', layer);
    assert.deepEqual((await served.request('GET', target)).body, layer.bytes);
  }
});

test('a damaged manifest is never served as whole: 404 with its digest; a push mends it', async () => {
  const image = imageOf('damaged manifest');
  const root = await mkdtemp(path.join(tmpdir(), 'zot-damaged-'));
  const first = await serveRegistry({ root });
  await pushImage(first, 'manifest', image, 'v1');
  await first.close();
  const file = path.join(root, 'manifest/blobs', ...image.manifest.digest.split(':'));
  const bytes = await readFile(file);
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const again = await serveRegistry({ root });
  try {
    const answer = await again.request('GET', '/v2/manifest/manifests/v1');
    assert.equal(statusAndCode(answer), '404 MANIFEST_UNKNOWN');
    assert.ok(answer.text.includes(image.manifest.digest));
    assert.match(answer.text, /damaged/);
    assert.equal((await again.request('HEAD', '/v2/manifest/manifests/v1')).status, 404);
    await pushImage(again, 'manifest', image, 'v1');
    assert.deepEqual((await again.request('GET', '/v2/manifest/manifests/v1')).body, image.manifest.bytes);
  } finally {
    await again.close();
    await rm(root, { recursive: true });
  }
});

test('damage in one repository leaves the others alone', async () => {
  const image = imageOf('side by side');
  for (const repo of ['side/a', 'side/b']) await pushImage(served, repo, image, 'v1');
  await writeFile(path.join(served.root, 'side/a/index.json'), 'broken');
  await rm(path.join(served.root, 'side/a/blobs'), { recursive: true });
  assert.deepEqual((await served.request('GET', '/v2/side/b/manifests/v1')).body, image.manifest.bytes);
  const { digest } = image.config;
  assert.equal(await statusOf('GET', `/v2/side/a/blobs/${digest}`), '404 BLOB_UNKNOWN');
  assert.equal((await served.request('GET', `/v2/side/b/blobs/${digest}`)).status, 200);
});
