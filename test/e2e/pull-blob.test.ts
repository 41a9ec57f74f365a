import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorOf, statusAndCode, type Answer } from './support/client.ts';
import {
  contentOf,
  descriptorOf,
  digestOf,
  imageOf,
  manifestOf,
  pushBlob,
  pushImage,
} from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('blobs');
/** Long enough to be sent in several pieces, each byte telling its place. */
const big = contentOf(
  Buffer.from(Array.from({ length: 3 * 1024 * 1024 }, (_, at) => (at * 31 + (at >> 8)) & 255)),
  'application/octet-stream',
);
const empty = contentOf('', 'application/octet-stream');
const size = big.bytes.length;

before(async () => {
  served = await serveRegistry();
  await pushImage(served, 'pull/content', image, 'latest');
  await pushBlob(served, 'pull/content', big);
  await pushBlob(served, 'pull/content', empty);
});
after(() => served.close());

const get = (digest: string, headers = {}, method = 'GET'): Promise<Answer> =>
  served.request(method, `/v2/pull/content/blobs/${digest}`, { headers });

test('a blob is pulled whole, with its digest, length and validators', async () => {
  const answer = await get(big.digest);
  assert.equal(answer.status, 200);
  assert.ok(answer.body.equals(big.bytes));
  assert.equal(answer.headers['docker-content-digest'], big.digest);
  assert.equal(answer.headers['content-length'], String(size));
  assert.equal(answer.headers['accept-ranges'], 'bytes');
  assert.equal(answer.headers.etag, `"${big.digest}"`);
  assert.match(answer.headers['cache-control'] ?? '', /immutable/);
});

test('HEAD has the headers of GET and no body', async () => {
  const got = await get(big.digest);
  const head = await get(big.digest, {}, 'HEAD');
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
  for (const name of ['content-type', 'content-length', 'docker-content-digest', 'etag', 'accept-ranges']) {
    assert.equal(head.headers[name], got.headers[name], name);
  }
});

test('the media type is the one a manifest gives; without one, octet-stream', async () => {
  assert.equal((await get(image.config.digest)).headers['content-type'], image.config.mediaType);
  assert.equal((await get(big.digest)).headers['content-type'], 'application/octet-stream');
});

test('a browser neither sniffs nor runs what somebody pushed', async () => {
  const { headers } = await get(big.digest);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.match(headers['content-security-policy']?.toString() ?? '', /sandbox/);
});

test('an empty blob is pulled', async () => {
  const answer = await get(empty.digest);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-length'], '0');
});

test('one range gives 206 with exactly those bytes', async () => {
  const cases: readonly [range: string, first: number, last: number][] = [
    ['bytes=0-0', 0, 0],
    ['bytes=5-10', 5, 10],
    ['bytes=1000000-2999999', 1_000_000, 2_999_999],
    [`bytes=${size - 1}-`, size - 1, size - 1],
    ['bytes=100-', 100, size - 1],
    ['bytes=-7', size - 7, size - 1],
    [`bytes=-${size + 100}`, 0, size - 1],
    [`bytes=10-${size + 100}`, 10, size - 1],
    ['bytes=0-4,5-9', 0, 9],
    ['bytes=0-9, 3-20', 0, 20],
    ['Bytes=2-3', 2, 3],
    [`bytes=${size}-,4-5`, 4, 5],
  ];
  for (const [range, first, last] of cases) {
    const answer = await get(big.digest, { range });
    assert.equal(answer.status, 206, range);
    assert.equal(answer.headers['content-range'], `bytes ${first}-${last}/${size}`, range);
    assert.equal(answer.headers['content-length'], String(last - first + 1), range);
    assert.equal(answer.headers['docker-content-digest'], big.digest);
    assert.ok(answer.body.equals(big.bytes.subarray(first, last + 1)), range);
  }
});

test('what is no range of bytes, or lies beyond the end, is 416 with the size', async () => {
  const many = `bytes=${Array.from({ length: 1000 }, () => '0-').join(',')}`;
  const cases = [
    `bytes=${size}-`,
    'bytes=5-4',
    'bytes=-0',
    'bytes=',
    'bytes=a-b',
    'bytes=1',
    'bytes=--1',
    many,
    '',
  ];
  for (const range of cases) {
    const answer = await get(big.digest, { range });
    assert.equal(answer.status, 416, range.slice(0, 40));
    assert.equal(answer.headers['content-range'], `bytes */${size}`);
    assert.equal(errorOf(answer).code, 'RANGE_INVALID');
  }
  assert.equal((await get(empty.digest, { range: 'bytes=0-' })).status, 416);
});

test('another unit of ranges is ignored (RFC 9110 section 14.2)', async () => {
  const answer = await get(big.digest, { range: 'lines=0-1' });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.length, size);
});

test('several ranges come as multipart, in order, each with its place', async () => {
  const answer = await get(big.digest, { range: 'bytes=100-109,0-4,-6' });
  assert.equal(answer.status, 206);
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(answer.headers['content-type'] ?? '')?.[1];
  assert.ok(boundary);
  assert.equal(answer.headers['content-length'], String(answer.body.length));
  const parts = answer.body.toString('latin1').split(`\r\n--${boundary}`).slice(1, -1);
  const expected = [
    [0, 4],
    [100, 109],
    [size - 6, size - 1],
  ] as const;
  assert.equal(parts.length, expected.length);
  for (const [at, [first, last]] of expected.entries()) {
    const [head = '', body = ''] = parts[at]?.split('\r\n\r\n') ?? [];
    assert.match(head, new RegExp(`Content-Range: bytes ${first}-${last}/${size}`, 'i'));
    assert.ok(Buffer.from(body, 'latin1').equals(big.bytes.subarray(first, last + 1)));
  }
  assert.ok(answer.body.toString('latin1').endsWith(`\r\n--${boundary}--\r\n`));
});

test('If-Range: the range when it names this content, all of it otherwise', async () => {
  const range = 'bytes=0-9';
  const matching = await get(big.digest, { range, 'if-range': `"${big.digest}"` });
  assert.equal(matching.status, 206);
  const other = await get(big.digest, { range, 'if-range': `"${digestOf('other')}"` });
  assert.equal(other.status, 200);
  assert.equal(other.body.length, size);
  // A weak tag never matches (RFC 9110 section 13.1.5).
  const weak = await get(big.digest, { range, 'if-range': `W/"${big.digest}"` });
  assert.equal(weak.status, 200);
});

test('If-None-Match gives 304 for GET and HEAD, before any range', async () => {
  for (const method of ['GET', 'HEAD']) {
    const headers = { 'if-none-match': `"${big.digest}"`, range: 'bytes=0-1' };
    const answer = await get(big.digest, headers, method);
    assert.equal(answer.status, 304);
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers.etag, `"${big.digest}"`);
  }
});

test('a range on HEAD is ignored', async () => {
  const answer = await get(big.digest, { range: 'bytes=0-9' }, 'HEAD');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-length'], String(size));
});

test('what is not there, or no digest, is said with status and code', async () => {
  const missing = digestOf('missing');
  const hex = 'a'.repeat(64);
  const cases: readonly [target: string, outcome: string][] = [
    [`/v2/pull/content/blobs/${missing}`, '404 BLOB_UNKNOWN'],
    [`/v2/pull/none/blobs/${missing}`, '404 BLOB_UNKNOWN'],
    [`/v2/pull/content/blobs/sha256:${hex.slice(1)}`, '400 DIGEST_INVALID'],
    [`/v2/pull/content/blobs/sha256:${hex}a`, '400 DIGEST_INVALID'],
    [`/v2/pull/content/blobs/sha256:${hex.toUpperCase()}`, '400 DIGEST_INVALID'],
    [`/v2/pull/content/blobs/sha512:${hex}`, '400 DIGEST_INVALID'],
    [`/v2/pull/content/blobs/blake3:${hex}`, '400 DIGEST_INVALID'],
    [`/v2/pull/content/blobs/md5:${'a'.repeat(32)}`, '400 DIGEST_INVALID'],
    [`/v2/pull/content/blobs/${hex}`, '400 DIGEST_INVALID'],
    ['/v2/pull/content/blobs/sha256:', '400 DIGEST_INVALID'],
  ];
  for (const [target, outcome] of cases) {
    assert.equal(statusAndCode(await served.request('GET', target)), outcome, target);
    const head = await served.request('HEAD', target);
    assert.equal(`${head.status}`, outcome.slice(0, 3), target);
    assert.equal(head.body.length, 0);
  }
});

test('a manifest is a blob too', async () => {
  const answer = await get(image.manifest.digest);
  assert.deepEqual(answer.body, image.manifest.bytes);
});

test('a blob of another repository is absent here, for GET, HEAD and ranges', async () => {
  for (const method of ['GET', 'HEAD']) {
    const answer = await served.request(method, `/v2/pull/other/blobs/${big.digest}`, {
      headers: { range: 'bytes=0-1' },
    });
    assert.equal(answer.status, 404);
  }
});

test('a name longer than a manifest gives it does not change a blob that a manifest mistypes', async () => {
  const odd = contentOf('odd', 'text/html');
  const manifest = manifestOf({ config: descriptorOf(image.config), layers: [descriptorOf(odd)] });
  await pushImage(served, 'pull/odd', { config: image.config, layers: [odd], manifest }, 'odd');
  const answer = await served.request('GET', `/v2/pull/odd/blobs/${odd.digest}`);
  assert.equal(answer.headers['content-type'], 'text/html');
  assert.match(answer.headers['content-security-policy']?.toString() ?? '', /sandbox/);
});
