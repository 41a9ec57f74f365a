import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { errorOf, statusAndCode } from './support/client.ts';
import { digestOf, imageOf, pushImage, startUpload } from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { exchange, headOf } from './support/raw.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('paths');
let filesBefore: string[] = [];

before(async () => {
  served = await serveRegistry();
  await pushImage(served, 'a', image, 'v1');
  // What a trick would have to reach.
  await writeFile(path.join(served.root, '..', 'secret'), 'secret');
  filesBefore = await files();
});
after(() => served.close());

/** Everything, but for what the registry keeps for itself and writes when it likes. */
const files = async (): Promise<string[]> =>
  (await filesBelow(path.join(served.root, '..'))).filter((name) => !name.startsWith('data/_zot/'));

const digest = image.manifest.digest;

/** Every route with a place for a name. */
const routes = (name: string): readonly [method: string, target: string][] => [
  ['GET', `/v2/${name}/tags/list`],
  ['GET', `/v2/${name}/manifests/v1`],
  ['HEAD', `/v2/${name}/manifests/v1`],
  ['PUT', `/v2/${name}/manifests/v1`],
  ['DELETE', `/v2/${name}/manifests/v1`],
  ['GET', `/v2/${name}/blobs/${digest}`],
  ['DELETE', `/v2/${name}/blobs/${digest}`],
  ['GET', `/v2/${name}/referrers/${digest}`],
  ['POST', `/v2/${name}/blobs/uploads/`],
  ['POST', `/v2/${name}/blobs/uploads/?digest=${digestOf('x')}`],
  ['POST', `/v2/${name}/blobs/uploads/?mount=${digest}&from=a`],
];

async function assertRefused(method: string, target: string): Promise<void> {
  const body = method === 'PUT' || method === 'POST' ? { body: 'x' } : {};
  const headers = method === 'PUT' ? { 'content-type': image.manifest.mediaType } : {};
  const answer = await served.request(method, target, { headers, ...body });
  const isRedirection = answer.status === 301;
  assert.ok(
    isRedirection || [400, 404, 405, 414].includes(answer.status),
    `${method} ${target}: ${answer.status}`,
  );
  if (!isRedirection && method !== 'HEAD') assert.ok(errorOf(answer).code);
  assert.ok(!answer.text.includes('secret'));
}

test('names that are none are refused on every route, and leave nothing', async () => {
  const names = [
    '..',
    '../..',
    'a/..',
    'a/../..',
    'a/./b',
    '.',
    'a//b',
    '%2e%2e',
    '%2e%2e%2f',
    'a%2f..%2f..',
    '%252e%252e',
    'a%00',
    'a%00b',
    '%0d%0aX:y',
    'A',
    'aB',
    'a.',
    '.a',
    '-a',
    'a-',
    'a..b',
    'a___b',
    'a_.b',
    'a%20b',
    'a+b',
    'a~b',
    'a:b',
    'a@b',
    'a,b',
    'a;b',
    "a'b",
    'é',
    'caf%C3%A9',
    'cafe%CC%81',
    '%EF%BC%8E%EF%BC%8E',
    'a%5c..%5cb',
    'a\\..\\b',
    'x'.repeat(256),
    `${'x/'.repeat(200)}x`,
    '_trivy',
    '_zot',
    '_zot/index.db',
    '.uploads',
    '.sync',
    'a/.uploads',
    'a/blobs',
    'a/blobs/sha256',
    'a/index.json',
    'a/oci-layout',
    'meta.db',
    'cache.db',
    '',
  ];
  for (const name of names) {
    // The path as bytes, as a client of no manners sends it.
    const written = Buffer.from(name, 'utf8').toString('latin1');
    for (const [method, target] of routes(written)) await assertRefused(method, target);
  }
  assert.deepEqual(await files(), filesBefore);
  assert.equal(await readFile(path.join(served.root, '..', 'secret'), 'utf8'), 'secret');
});

test('a NUL in the path is no HTTP', async () => {
  assert.match(await exchange(served.port, headOf('GET /v2/a\0/manifests/v1')), /^HTTP\/1\.1 400 /);
});

test('references and digests that are paths lead nowhere', async () => {
  const tricks = [
    '..',
    '../../index.json',
    '%2e%2e',
    '..%2f..%2findex.json',
    'sha256:..%2f..%2findex.json',
    'sha256:../../index.json',
    'sha256:%2e%2e%2f%2e%2e',
    `sha256:${'.'.repeat(64)}`,
    `sha256%2f${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(63)}%00`,
    'index.json%00',
    '%00',
    '',
    '%0d%0aSet-Cookie:x',
    'v1%0a',
    'v1%00',
    'x'.repeat(2000),
  ];
  const reads: readonly [method: string, place: string][] = [
    ...['GET', 'HEAD', 'DELETE'].flatMap((method): [string, string][] => [
      [method, 'manifests'],
      [method, 'blobs'],
    ]),
    ['GET', 'referrers'],
  ];
  for (const trick of tricks) {
    for (const [method, place] of reads) await assertRefused(method, `/v2/a/${place}/${trick}`);
    if (trick !== 'v1%0a') await assertRefused('PUT', `/v2/a/manifests/${trick}`);
  }
  const digests = ['sha256:..%2F..', '..%2F..', '%00', 'sha256:%0d%0a'];
  for (const bad of digests) await assertRefused('POST', `/v2/a/blobs/uploads/?digest=${bad}`);
  assert.deepEqual(await files(), filesBefore);
});

test('upload ids that are paths, or no ids, are unknown uploads', async () => {
  const session = await startUpload(served, 'u');
  const id = session.slice(session.lastIndexOf('/') + 1);
  const ids = [
    '..',
    '%2e%2e',
    '..%2f..%2findex.json',
    '.',
    '.stage-x',
    id.toUpperCase(),
    `${id}%00`,
    `${id}x`,
    id.replaceAll('-', ''),
    `%20${id}`,
    '0',
    'x'.repeat(3000),
    '%0d%0a',
  ];
  const kept = await filesBelow(served.root);
  for (const bad of ids) {
    for (const method of ['GET', 'PATCH', 'DELETE', 'PUT']) {
      const target = `/v2/u/blobs/uploads/${bad}${method === 'PUT' ? `?digest=${digestOf('x')}` : ''}`;
      await assertRefused(method, target);
    }
  }
  assert.deepEqual(await filesBelow(served.root), kept);
  assert.equal((await served.request('GET', session)).status, 204);
});

test('what a path says is never sent back as a header of its own', async () => {
  const targets = [
    '/v2/a/manifests/%0d%0aX-Evil:1',
    '/v2//a%0d%0aX-Evil:1/x',
    '/v2/a/tags/list?n=1&last=%0d%0aX-Evil:1',
  ];
  for (const target of targets) {
    const answer = await served.request('GET', target);
    assert.equal(answer.headers['x-evil'], undefined);
  }
});

test('the names of others’ files are names of repositories where they stand first', async () => {
  for (const repo of ['blobs', 'index.json', 'oci-layout', 'uploads', 'tags', 'v2']) {
    await pushImage(served, repo, image, 'v1');
    assert.equal((await served.request('GET', `/v2/${repo}/manifests/v1`)).status, 200, repo);
  }
});

test('a tag that looks like the fallback of a referrer or a signature is a tag', async () => {
  for (const tag of [
    'sha256-.sig',
    'sha256-zz.sig',
    `sha256-${'a'.repeat(64)}`,
    `sha256-${'a'.repeat(64)}.att`,
  ]) {
    await pushImage(served, 'fallback', image, tag);
    assert.equal((await served.request('GET', `/v2/fallback/manifests/${tag}`)).status, 200);
    assert.equal((await served.request('DELETE', `/v2/fallback/manifests/${tag}`)).status, 202);
  }
});

test('10,000 tag parameters are refused', async () => {
  const target = `/v2/a/manifests/${digest}?${Array.from({ length: 10_000 }, () => 'tag=x').join('&')}`;
  const answer = await served.request('PUT', target, {
    headers: { 'content-type': image.manifest.mediaType },
    body: image.manifest.bytes,
  });
  assert.equal(statusAndCode(answer), '414 MANIFEST_INVALID');
});
