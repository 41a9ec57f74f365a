import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorOf, statusAndCode } from './support/client.ts';
import {
  contentOf,
  digestOf,
  expectStatus,
  imageOf,
  pushBlob,
  pushImage,
  startUpload,
} from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { contentsOf, tagged, writeLayout } from './support/layout.ts';
import { serveRegistry, type Served } from './support/served.ts';
import path from 'node:path';

const image = imageOf('refused writes');
const prepare = (root: string): Promise<void> => {
  const index = { schemaVersion: 2, manifests: [tagged(image.manifest, 'v1')] };
  return writeLayout(path.join(root, 'r'), index, contentsOf(image));
};
const { digest, bytes, mediaType } = image.manifest;
const id = '00000000-0000-4000-8000-000000000000';

async function assertReads(served: Served): Promise<void> {
  const targets = [
    '/v2/',
    '/v2/_catalog',
    '/v2/r/tags/list',
    '/v2/r/manifests/v1',
    `/v2/r/blobs/${image.config.digest}`,
  ];
  for (const target of targets) assert.equal((await served.request('GET', target)).status, 200, target);
}

test('in read-only mode reads go on and every change is refused, whatever it is', async () => {
  const served = await serveRegistry({ storage: { readOnly: true }, prepare });
  try {
    const before = await filesBelow(served.root);
    await assertReads(served);
    const writes: readonly [method: string, target: string][] = [
      ['POST', '/v2/r/blobs/uploads/'],
      ['POST', `/v2/r/blobs/uploads/?digest=${digestOf('x')}`],
      ['POST', `/v2/new/blobs/uploads/?mount=${digest}&from=r`],
      ['PATCH', `/v2/r/blobs/uploads/${id}`],
      ['PUT', `/v2/r/blobs/uploads/${id}?digest=${digestOf('x')}`],
      ['DELETE', `/v2/r/blobs/uploads/${id}`],
      ['PUT', '/v2/r/manifests/v2'],
      ['DELETE', '/v2/r/manifests/v1'],
      ['DELETE', `/v2/r/manifests/${digest}`],
      ['DELETE', `/v2/r/blobs/${image.config.digest}`],
    ];
    for (const [method, target] of writes) {
      const headers = target.includes('manifests') ? { 'content-type': mediaType } : {};
      const body = method === 'DELETE' ? {} : { body: bytes };
      const answer = await served.request(method, target, { headers, ...body });
      assert.equal(statusAndCode(answer), '405 UNSUPPORTED', `${method} ${target}`);
      assert.match(errorOf(answer).message, /read-only/);
    }
    assert.deepEqual(await filesBelow(served.root), before);
    await assertReads(served);
  } finally {
    await served.close();
  }
});

test('below the watermark of free space pushes are 507 with Retry-After; reads and deletes go on', async () => {
  const served = await serveRegistry({ storage: { minFreeSpace: '1000TiB' }, prepare });
  try {
    const before = await filesBelow(served.root);
    const writes: readonly [method: string, target: string][] = [
      ['POST', '/v2/r/blobs/uploads/'],
      ['POST', `/v2/r/blobs/uploads/?digest=${digestOf('x')}`],
      ['PATCH', `/v2/r/blobs/uploads/${id}`],
      ['PUT', `/v2/r/blobs/uploads/${id}?digest=${digestOf('x')}`],
      ['PUT', '/v2/r/manifests/v2'],
    ];
    for (const [method, target] of writes) {
      const headers = target.includes('manifests') ? { 'content-type': mediaType } : {};
      const answer = await served.request(method, target, { headers, body: bytes });
      assert.equal(statusAndCode(answer), '507 INSUFFICIENT_STORAGE', `${method} ${target}`);
      assert.ok(Number(answer.headers['retry-after']) > 0);
      assert.ok(Number(errorOf(answer).detail.required) > Number(errorOf(answer).detail.free));
    }
    assert.deepEqual(await filesBelow(served.root), before);
    await assertReads(served);
    expectStatus(await served.request('DELETE', '/v2/r/manifests/v1'), 202);
    expectStatus(await served.request('DELETE', `/v2/r/manifests/${digest}`), 202);
  } finally {
    await served.close();
  }
});

test('a push that would go below the watermark is refused by its announced length, before its body', async () => {
  const served = await serveRegistry({ storage: { minFreeSpace: '1MiB' } });
  try {
    await pushBlob(served, 'small', contentOf('fits', 'application/octet-stream'));
    const target = `/v2/large/blobs/uploads/?digest=${digestOf('x')}`;
    const answer = await served.request('POST', target, {
      headers: { 'content-length': 10 ** 14, expect: '100-continue' },
      body: [],
    });
    assert.equal(statusAndCode(answer), '507 INSUFFICIENT_STORAGE');
  } finally {
    await served.close();
  }
});

test('a share of the disk is a watermark, too', async () => {
  const served = await serveRegistry({ storage: { minFreeSpace: '100%' } });
  try {
    assert.equal(
      statusAndCode(await served.request('POST', '/v2/r/blobs/uploads/')),
      '507 INSUFFICIENT_STORAGE',
    );
  } finally {
    await served.close();
  }
});

test('zero is no watermark', async () => {
  const served = await serveRegistry({ storage: { minFreeSpace: 0 } });
  try {
    await startUpload(served, 'r');
    await pushImage(served, 'r', image, 'v1');
  } finally {
    await served.close();
  }
});
