import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { digestOf, imageOf, pushImage } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
let strict: Served;
const image = imageOf('cors');
const origin = 'https://ui.example';

before(async () => {
  [served, strict] = await Promise.all([serveRegistry(), serveRegistry({ http: { allowOrigin: origin } })]);
  for (const one of [served, strict]) await pushImage(one, 'c', image, 'v1');
});
after(() => Promise.all([served.close(), strict.close()]));

const targets: readonly [method: string, target: string][] = [
  ['GET', '/v2/'],
  ['GET', '/v2/_catalog'],
  ['GET', '/v2/_oci/ext/discover'],
  ['GET', '/v2/c/tags/list'],
  ['GET', '/v2/c/manifests/v1'],
  ['HEAD', '/v2/c/manifests/v1'],
  ['GET', `/v2/c/blobs/${image.config.digest}`],
  ['GET', `/v2/c/referrers/${image.manifest.digest}`],
  ['POST', '/v2/c/blobs/uploads/'],
  // Refusals, which scripts have to read too.
  ['GET', '/v2/c/manifests/none'],
  ['GET', `/v2/c/blobs/${digestOf('none')}`],
  ['PUT', '/v2/c/manifests/v1'],
  ['PATCH', '/v2/'],
  ['GET', '/nowhere'],
  ['GET', '/v2//'],
  ['GET', '/v2/%zz/manifests/x'],
];

test('every answer, refusals included, may be read by scripts of the allowed origin', async () => {
  for (const [method, target] of targets) {
    const open = await served.request(method, target, { headers: { origin: 'https://any.example' } });
    assert.equal(open.headers['access-control-allow-origin'], '*', `${method} ${target}`);
    assert.equal(open.headers.vary, undefined);
    const exposed = open.headers['access-control-expose-headers'] ?? '';
    for (const name of ['Docker-Content-Digest', 'Link', 'Location', 'OCI-Subject'])
      assert.ok(exposed.includes(name));
    const named = await strict.request(method, target, { headers: { origin } });
    assert.equal(named.headers['access-control-allow-origin'], origin);
    assert.equal(named.headers.vary, 'Origin');
  }
});

test('without an origin there is nothing to expose', async () => {
  const answer = await served.request('GET', '/v2/');
  assert.equal(answer.headers['access-control-expose-headers'], undefined);
});

test('a browser’s question before a request is answered for every route, with its methods', async () => {
  const cases: readonly [target: string, methods: string][] = [
    ['/v2/', 'GET,HEAD,OPTIONS'],
    ['/v2/_catalog', 'GET,OPTIONS'],
    ['/v2/c/tags/list', 'GET,OPTIONS'],
    ['/v2/c/manifests/v1', 'GET,HEAD,PUT,DELETE,OPTIONS'],
    [`/v2/c/blobs/${image.config.digest}`, 'GET,HEAD,DELETE,OPTIONS'],
    ['/v2/c/blobs/uploads/', 'POST,OPTIONS'],
    ['/v2/c/blobs/uploads/x', 'GET,PATCH,PUT,DELETE,OPTIONS'],
  ];
  for (const [target, methods] of cases) {
    const answer = await strict.request('OPTIONS', target, {
      headers: { origin, 'access-control-request-method': 'PUT' },
    });
    assert.equal(answer.status, 204, target);
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers['access-control-allow-methods'], methods);
    assert.match(answer.headers['access-control-allow-headers'] ?? '', /Authorization/);
    assert.equal(answer.headers['access-control-allow-origin'], origin);
  }
});

test('every answer forbids browsers to guess its type', async () => {
  for (const [method, target] of targets) {
    const answer = await served.request(method, target);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff', `${method} ${target}`);
    assert.ok(answer.headers['x-request-id']);
  }
});
