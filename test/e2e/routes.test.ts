import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ROUTES } from '#http';
import { errorOf, jsonOf, statusAndCode } from './support/client.ts';
import { digestOf, imageOf, pushImage } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('routes');
before(async () => {
  served = await serveRegistry({ storage: { quotas: [{ prefix: 'other', maxBytes: '1Gi' }] } });
  await pushImage(served, 'r', image, 'latest');
});
after(() => served.close());

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const missing = digestOf('missing');
const id = '00000000-0000-4000-8000-000000000000';

/** What each URL answers to each method in a repository `r` with one image; `-`: 405. */
const table: readonly [target: string, outcomes: string][] = [
  // GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
  ['/livez', '200 - - - - - 204'],
  ['/readyz', '200 - - - - - 204'],
  ['/startupz', '200 - - - - - 204'],
  ['/v2/', '200 200 - - - - 204'],
  ['/v2/_catalog', '200 - - - - - 204'],
  ['/v2/_oci/ext/discover', '200 - - - - - 204'],
  ['/v2/_zot/ext/quotas', '200 - - - - - 204'],
  ['/v2/_zot/ext/repository', '- - - - - 400 204'],
  ['/v2/_zot/ext/repository/rename', '- - 400 - - - 204'],
  ['/v2/r/tags/list', '200 - - - - - 204'],
  [`/v2/r/referrers/${missing}`, '200 - - - - - 204'],
  // Off unless storage.undo is set.
  ['/v2/r/_oci/tag-history/absent', '404 - - - - - 204'],
  ['/v2/r/manifests/absent', '404 404 - 415 - 404 204'],
  [`/v2/r/blobs/${missing}`, '404 404 - - - 404 204'],
  ['/v2/r/blobs/uploads/', '- - 202 - - - 204'],
  [`/v2/r/blobs/uploads/${id}`, '404 - - 400 404 404 204'],
  ['/v2/r/blobs/uploads', '400 400 - - - 400 204'],
  ['/v2', '404 404 404 404 404 404 404'],
  ['/v2/_catalog/', '404 404 404 404 404 404 404'],
  ['/v2/r', '404 404 404 404 404 404 404'],
  ['/v2/r/tags/list/', '404 404 404 404 404 404 404'],
  ['/', '404 404 404 404 404 404 404'],
  ['/healthz', '404 404 404 404 404 404 404'],
];

test('every URL answers every method with the status that the table names', async () => {
  for (const [target, outcomes] of table) {
    for (const [at, outcome] of outcomes.split(' ').entries()) {
      const method = METHODS[at] ?? '';
      const answer = await served.request(method, target);
      const wanted = outcome === '-' ? 405 : Number(outcome);
      assert.equal(answer.status, wanted, `${method} ${target}: ${answer.text}`);
      if (wanted === 405) assert.match(answer.headers.allow ?? '', /OPTIONS/);
      if (wanted >= 400 && method !== 'HEAD') assert.ok(errorOf(answer).detail.description);
      if (method === 'HEAD') assert.equal(answer.body.length, 0);
    }
  }
});

test('the table names every route of the core', () => {
  const covered = table.map(([target]) => target);
  for (const { url } of ROUTES) {
    const samples = { ':name': 'r', ':reference': 'absent', ':digest': missing, ':id': id };
    const sample = url.replace(/:[a-z]+/g, (part) => samples[part as keyof typeof samples]);
    assert.ok(covered.includes(sample), url);
  }
});

test('Allow lists the methods of the URL', async () => {
  const answer = await served.request('POST', '/v2/r/manifests/latest');
  assert.equal(answer.headers.allow, 'GET, HEAD, PUT, DELETE, OPTIONS');
  assert.equal(statusAndCode(answer), '405 METHOD_NOT_ALLOWED');
});

test('a method that HTTP does not know is refused', async () => {
  for (const method of ['TRACE', 'PROPFIND', 'PURGE']) {
    const answer = await served.request(method, '/v2/r/manifests/latest');
    assert.ok([404, 405].includes(answer.status), `${method}: ${answer.status}`);
  }
});

test('GET /v2/ says which protocol is spoken, without a body', async () => {
  const answer = await served.request('GET', '/v2/');
  assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0');
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.equal(answer.body.length, 0);
  assert.equal((await served.request('GET', '/v2/?x=1')).status, 200);
});

test('discovery lists the extensions that are on', async () => {
  const answer = await served.request('GET', '/v2/_oci/ext/discover');
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.deepEqual(Object.keys(jsonOf(answer) as object), ['extensions']);
});

test('JSON is sent without a charset, which OCI media types do not have', async () => {
  for (const target of ['/v2/_catalog', '/v2/r/tags/list', '/v2/none/tags/list']) {
    assert.equal((await served.request('GET', target)).headers['content-type'], 'application/json');
  }
});

test('health answers while it can, and readiness ends when a stop begins', async () => {
  const other = await serveRegistry();
  try {
    for (const target of ['/livez', '/readyz', '/startupz']) {
      const answer = await other.request('GET', target);
      assert.equal(answer.status, 200);
      assert.equal(answer.text, 'ok');
      assert.match(answer.headers['content-type'] ?? '', /^text\/plain/);
    }
    other.announceStop();
    const answer = await other.request('GET', '/readyz');
    assert.equal(statusAndCode(answer), '503 UNAVAILABLE');
    assert.ok(answer.headers['retry-after']);
    assert.equal((await other.request('GET', '/livez')).status, 200);
  } finally {
    await other.close();
  }
});

test('a path with empty or dot segments is redirected to the clean one, query kept (zot: 301)', async () => {
  const cases: readonly [target: string, location: string][] = [
    ['//v2/', '/v2/'],
    ['/v2//r/manifests/latest', '/v2/r/manifests/latest'],
    ['/v2/./r/tags/list?n=1', '/v2/r/tags/list?n=1'],
    ['/v2/x/../r/tags/list', '/v2/r/tags/list'],
    ['/v2/..', '/'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['/v2/r/blobs/uploads//', '/v2/r/blobs/uploads/'],
    ['//evil.example/..', '/'],
    ['//evil.example/x', '/evil.example/x'],
  ];
  for (const [target, location] of cases) {
    const answer = await served.request('GET', target);
    assert.equal(answer.status, 301, target);
    assert.equal(answer.headers.location, location);
    assert.equal(answer.body.length, 0);
  }
});

test('no redirection leads to another host', async () => {
  // Browsers read a backslash as a slash, so that this would name a host.
  const answer = await served.request('GET', '/\\evil.example//x');
  assert.doesNotMatch(answer.headers.location ?? '', /^\/[/\\]/);
});

test('a request target may be absolute (RFC 9112 section 3.2.2)', async () => {
  const answer = await served.request('GET', `http://registry.example:5000/v2/r/manifests/latest?x=1`);
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, image.manifest.bytes);
  assert.equal((await served.request('GET', 'http://registry.example/v2//')).headers.location, '/v2/');
  assert.equal((await served.request('GET', 'http://registry.example')).status, 404);
  assert.equal((await served.request('OPTIONS', '*')).status, 404);
});

test('what a client says of the host is never sent back: places are paths', async () => {
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
  const start = await served.request('POST', '/v2/r/blobs/uploads/', { headers });
  assert.match(start.headers.location ?? '', /^\/v2\/r\//);
  const page = await served.request('GET', '/v2/_catalog?n=0', { headers });
  assert.ok(!JSON.stringify(page.headers).includes('evil'));
  const clean = await served.request('GET', '/v2//r', { headers });
  assert.equal(clean.headers.location, '/v2/r');
});

test('a slash that the client encoded itself leads nowhere, however the path is written', async () => {
  await pushImage(served, 'deep/name', image, 'latest');
  assert.equal((await served.request('GET', '/v2/deep/name/manifests/latest')).status, 200);
  const encoded = [
    '/v2/deep%2Fname/manifests/latest',
    '/v2/deep%2fname/tags/list',
    '/v%32/deep%2Fname/manifests/latest',
    '/%76%32/deep%2Fname/manifests/latest',
    '/v2/deep%5cname/manifests/latest',
    '/v2/deep%252Fname/manifests/latest',
    '/v2%2Fdeep/name/manifests/latest',
    '/V2/deep/name/manifests/latest',
  ];
  for (const target of encoded) {
    const answer = await served.request('GET', target);
    assert.ok([400, 404].includes(answer.status), `${target}: ${answer.status}`);
  }
});

test('percent signs that encode nothing are refused', async () => {
  for (const target of [
    '/v2/%/manifests/x',
    '/v2/r/manifests/%zz',
    '/v2/r/blobs/%',
    '/%',
    '/v2/r/manifests/%c3%28',
  ]) {
    const answer = await served.request('GET', target);
    assert.ok([400, 404].includes(answer.status), `${target}: ${answer.status} ${answer.text}`);
    assert.ok(errorOf(answer).code);
  }
});

test('a repository named as a part of the protocol is routed by the last marker (zot)', async () => {
  await pushImage(served, 'tags/list', image, 'latest');
  await pushImage(served, 'manifests/x/referrers', image, 'latest');
  const list = await served.request('GET', '/v2/tags/list/tags/list');
  assert.deepEqual(jsonOf(list), { name: 'tags/list', tags: ['latest'] });
  const manifest = await served.request('GET', '/v2/manifests/x/referrers/manifests/latest');
  assert.equal(manifest.status, 200);
});

test('a request id is made, kept when it is harmless, and named in answer, error and log', async () => {
  const made = await served.request('GET', '/v2/');
  assert.match(made.headers['x-request-id']?.toString() ?? '', /^[0-9a-f]{12}-[0-9a-z]+$/);
  const given = await served.request('GET', '/v2/r/tags/list?given', {
    headers: { 'x-request-id': 'a.b-1_X' },
  });
  assert.equal(given.headers['x-request-id'], 'a.b-1_X');
  const [line] = await served.accessLines('/v2/r/tags/list?given');
  assert.equal(line?.requestId, 'a.b-1_X');
  for (const bad of ['a b', 'x'.repeat(65), '<x>', 'a"b']) {
    const answer = await served.request('GET', '/v2/', { headers: { 'x-request-id': bad } });
    assert.notEqual(answer.headers['x-request-id'], bad);
  }
});

test('names at the limit of the grammar are routed', async () => {
  const longest = `${'a'.repeat(127)}/${'b'.repeat(127)}`;
  await pushImage(served, longest, image, 'latest');
  assert.equal((await served.request('GET', `/v2/${longest}/manifests/latest`)).status, 200);
  const deep = Array.from({ length: 128 }, () => 'a').join('/');
  await pushImage(served, deep, image, 'latest');
  assert.equal((await served.request('GET', `/v2/${deep}/manifests/latest`)).status, 200);
  const over = await served.request('GET', `/v2/${'a'.repeat(256)}/manifests/latest`);
  assert.equal(statusAndCode(over), '400 NAME_INVALID');
  const far = await served.request('GET', `/v2/${'a'.repeat(5000)}/manifests/latest`);
  assert.ok([400, 404, 414].includes(far.status), String(far.status));
});
