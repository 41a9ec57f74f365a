import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorOf, statusAndCode } from './support/client.ts';
import { digestOf, imageOf, manifestOf, pushBlob, pushImage, pushManifest } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('pull');
before(async () => {
  served = await serveRegistry();
  await pushImage(served, 'pull/image', image, 'latest');
});
after(() => served.close());

test('a manifest is pulled by tag and by digest, byte for byte', async () => {
  for (const reference of ['latest', image.manifest.digest]) {
    const answer = await served.request('GET', `/v2/pull/image/manifests/${reference}`);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, image.manifest.bytes);
    assert.equal(answer.headers['content-type'], image.manifest.mediaType);
    assert.equal(answer.headers['docker-content-digest'], image.manifest.digest);
    assert.equal(answer.headers['content-length'], String(image.manifest.bytes.length));
    assert.equal(answer.headers.etag, `"${image.manifest.digest}"`);
  }
});

test('HEAD has the headers of GET and no body', async () => {
  const got = await served.request('GET', '/v2/pull/image/manifests/latest');
  const head = await served.request('HEAD', '/v2/pull/image/manifests/latest');
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
  for (const name of ['content-type', 'content-length', 'docker-content-digest', 'etag', 'cache-control']) {
    assert.equal(head.headers[name], got.headers[name], name);
  }
});

test('only what a digest names may be cached without asking', async () => {
  const byTag = await served.request('GET', '/v2/pull/image/manifests/latest');
  const byDigest = await served.request('GET', `/v2/pull/image/manifests/${image.manifest.digest}`);
  assert.equal(byTag.headers['cache-control'], 'no-cache');
  assert.match(byDigest.headers['cache-control'] ?? '', /immutable/);
});

test('If-None-Match with the digest gives 304 for GET and HEAD', async () => {
  const { digest } = image.manifest;
  for (const value of [`"${digest}"`, digest, `W/"${digest}"`, `"other", "${digest}"`, '*']) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await served.request(method, '/v2/pull/image/manifests/latest', {
        headers: { 'if-none-match': value },
      });
      assert.equal(answer.status, 304, `${method} ${value}`);
      assert.equal(answer.body.length, 0);
      assert.equal(answer.headers.etag, `"${digest}"`);
    }
  }
});

test('If-None-Match with something else gives the manifest', async () => {
  const answer = await served.request('GET', '/v2/pull/image/manifests/latest', {
    headers: { 'if-none-match': `"${digestOf('other')}"` },
  });
  assert.equal(answer.status, 200);
});

test('Accept changes nothing: the stored type is sent', async () => {
  for (const accept of ['application/vnd.oci.image.index.v1+json', 'text/html', '*/*;q=0']) {
    const answer = await served.request('GET', '/v2/pull/image/manifests/latest', { headers: { accept } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], image.manifest.mediaType);
  }
});

test('what is not there is named', async () => {
  const missing = digestOf('missing');
  const cases: readonly [target: string, outcome: string, detail: Record<string, string>][] = [
    ['/v2/pull/none/manifests/latest', '404 NAME_UNKNOWN', { name: 'pull/none' }],
    ['/v2/pull/image/manifests/none', '404 MANIFEST_UNKNOWN', { reference: 'none' }],
    [`/v2/pull/image/manifests/${missing}`, '404 MANIFEST_UNKNOWN', { reference: missing }],
    ['/v2/pull/image/manifests/sha256:short', '404 MANIFEST_UNKNOWN', { reference: 'sha256:short' }],
    ['/v2/PULL/manifests/latest', '400 NAME_INVALID', { name: 'PULL' }],
  ];
  for (const [target, outcome, detail] of cases) {
    const answer = await served.request('GET', target);
    assert.equal(statusAndCode(answer), outcome, target);
    const got = errorOf(answer).detail;
    for (const [key, value] of Object.entries(detail)) assert.equal(got[key], value);
    const head = await served.request('HEAD', target);
    assert.equal(head.status, answer.status);
    assert.equal(head.body.length, 0);
    assert.equal(head.headers['content-type'], 'application/json');
  }
});

test(
  'a manifest is no tag of its repository’s blobs: a blob that no index names is not pulled ' +
    'as a manifest',
  async () => {
    const layer = image.layers[0];
    assert.ok(layer);
    const answer = await served.request('GET', `/v2/pull/image/manifests/${layer.digest}`);
    assert.equal(statusAndCode(answer), '404 MANIFEST_UNKNOWN');
  },
);

test('any bytes that are JSON are served as they were pushed, white space and unknown members included', async () => {
  const { config } = image;
  const text = `\n{ "schemaVersion" : 2,\t"mediaType":"${image.manifest.mediaType}", "layers": [ ],
    "config":{"mediaType":"${config.mediaType}","digest":"${config.digest}","size":${config.bytes.length}},
    "x":[1.0,1e3,"\\u00e9"]}\n\n`;
  const odd = { ...manifestOf({}), bytes: Buffer.from(text), digest: digestOf(text) };
  await pushBlob(served, 'pull/image', config);
  await pushManifest(served, 'pull/image', odd, 'odd');
  const answer = await served.request('GET', '/v2/pull/image/manifests/odd');
  assert.deepEqual(answer.body, odd.bytes);
});
