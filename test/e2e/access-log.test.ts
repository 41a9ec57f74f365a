import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { imageOf, pushImage } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('log');
before(async () => {
  served = await serveRegistry();
  await pushImage(served, 'log', image, 'v1');
});
after(() => served.close());

test('a request leaves one line with the fields that zot’s log parsers read', async () => {
  const target = '/v2/log/manifests/v1?x=1';
  await served.request('GET', target, {
    headers: { 'user-agent': 'test/1', accept: 'a/b', cookie: 'session=s3' },
  });
  const lines = await served.accessLines(target);
  assert.equal(lines.length, 1);
  const [line = {}] = lines;
  const { time, clientIP, latency, requestId, ...rest } = line;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  assert.match(String(clientIP), /^127\.0\.0\.1:\d+$/);
  assert.match(String(latency), /^\d+(\.\d+)?(ms|s)$/);
  assert.ok(requestId);
  assert.deepEqual(rest, {
    level: 'info',
    module: 'http',
    component: 'session',
    method: 'GET',
    path: target,
    statusCode: 200,
    bodySize: image.manifest.bytes.length,
    headers: { accept: ['a/b'], 'user-agent': ['test/1'] },
    message: 'HTTP API',
  });
});

test('bodySize is what was sent: of blobs, ranges, errors and nothing', async () => {
  const { digest, bytes } = image.config;
  const cases: readonly [
    method: string,
    target: string,
    headers: Record<string, string>,
    sizeBytes: number | null,
  ][] = [
    ['GET', `/v2/log/blobs/${digest}?whole`, {}, bytes.length],
    ['GET', `/v2/log/blobs/${digest}?range`, { range: 'bytes=0-9' }, 10],
    ['GET', `/v2/log/blobs/${digest}?several`, { range: 'bytes=0-0,5-5' }, null],
    ['HEAD', `/v2/log/blobs/${digest}?head`, {}, 0],
    ['HEAD', '/v2/log/manifests/v1?head', {}, 0],
    ['GET', `/v2/log/blobs/${digest}?fresh`, { 'if-none-match': `"${digest}"` }, 0],
    ['GET', '/v2/log/manifests/none?error', {}, null],
    ['POST', '/v2/log/blobs/uploads/?session', {}, 0],
  ];
  for (const [method, target, headers, sizeBytes] of cases) {
    const answer = await served.request(method, target, { headers });
    const [line] = await served.accessLines(target);
    assert.equal(line?.bodySize, sizeBytes ?? answer.body.length, target);
    assert.equal(line.statusCode, answer.status);
  }
});

test('no secret reaches the log', async () => {
  const secrets = {
    authorization: `Basic ${Buffer.from('anna:s3cret').toString('base64')}`,
    cookie: 'session=s3cret',
    'x-api-key': 's3cret',
    'proxy-authorization': 's3cret',
  };
  const query = ['code', 'state', 'token', 'access_token', 'password', 'X-Amz-Signature', 'sig', 'Secret']
    .map((name) => `${name}=s3cret`)
    .join('&');
  await served.request('GET', `/v2/log/tags/list?n=1&${query}`, { headers: secrets });
  await served.request('GET', '/v2/%zz?token=s3cret', { headers: secrets });
  await served.request('GET', '/nowhere?token=s3cret', { headers: secrets });
  const masked = (await served.logLines()).filter(({ path }) => String(path).includes('******'));
  assert.ok(masked.length >= 3);
  const text = JSON.stringify(await served.logLines());
  assert.ok(!text.includes('s3cret'));
  assert.ok(!text.includes(Buffer.from('anna:s3cret').toString('base64')));
  assert.ok(text.includes('"authorization":["******"]'));
});

test('every request leaves a line: refused, unrouted, redirected, malformed paths and health included', async () => {
  const cases: readonly [method: string, target: string][] = [
    ['GET', '/livez?line'],
    ['GET', '/nowhere?line'],
    ['PATCH', '/v2/?line'],
    ['GET', '/v2//?line'],
    ['GET', '/v2/%zz/manifests/x?line'],
    ['OPTIONS', '/v2/?line=options'],
    ['DELETE', '/v2/log/manifests/none?line'],
    ['GET', '/v2/a%2fb/manifests/x?line'],
  ];
  for (const [method, target] of cases) {
    const answer = await served.request(method, target);
    const [line] = await served.accessLines(target);
    assert.equal(line?.statusCode, answer.status, target);
    assert.equal(line.requestId, answer.headers['x-request-id'], target);
  }
});

test('nobody writes lines of their own: control characters stay escaped', async () => {
  const agent = 'a\u00e9\tb';
  await served.request('GET', '/v2/?agent', { headers: { 'user-agent': agent } });
  const [line] = await served.accessLines('/v2/?agent');
  assert.deepEqual(line?.headers, { 'user-agent': [agent] });
});
