import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { statusAndCode } from './support/client.ts';
import { contentOf, digestOf, expectStatus, imageOf, pushBlob, startUpload } from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { headOf, RawConnection } from './support/raw.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const big = contentOf(Buffer.alloc(32 * 1024 * 1024, 3), 'application/octet-stream');
const { mediaType } = imageOf('x').manifest;

before(async () => {
  served = await serveRegistry();
  await pushBlob(served, 'big', big);
});
after(() => served.close());

/** Sends a head and some bytes when they are asked for, leaves when they are there, and waits for the log line. */
async function leave(
  target: string,
  requestLine: string,
  headers: readonly string[],
  body: string,
): Promise<Readonly<Record<string, unknown>>> {
  const connection = await RawConnection.open(served.port);
  connection.send(headOf(requestLine, ...headers, 'Expect: 100-continue'));
  await connection.waitFor(/100 Continue/);
  connection.send(body);
  // What was sent before is there when a later connection is answered.
  await served.request('GET', '/v2/');
  connection.vanish();
  const [line] = await served.accessLines(target);
  assert.ok(line);
  assert.match(String(line.clientIP), /^127\.0\.0\.1:\d+$/);
  return line;
}

test('a PATCH whose client leaves keeps what arrived; the upload goes on', async () => {
  const session = await startUpload(served, 'left/patch');
  await leave(session, `PATCH ${session}`, ['Content-Length: 1000'], 'x'.repeat(400));
  assert.equal((await served.request('GET', session)).headers.range, '0-399');
  expectStatus(await served.request('PATCH', session, { body: 'x'.repeat(600) }), 202);
  const target = `${session}?digest=${digestOf('x'.repeat(1000))}`;
  expectStatus(await served.request('PUT', target), 201);
});

test('a chunked PATCH whose client leaves between chunks is not taken for a whole one', async () => {
  const session = await startUpload(served, 'left/chunked');
  const line = await leave(session, `PATCH ${session}`, ['Transfer-Encoding: chunked'], '5\r\nhello\r\n');
  assert.notEqual(line.statusCode, 202);
  assert.equal((await served.request('GET', session)).headers.range, '0-4');
});

test('a PUT whose client leaves keeps its session', async () => {
  const session = await startUpload(served, 'left/put');
  const target = `${session}?digest=${digestOf('x'.repeat(1000))}`;
  await leave(target, `PUT ${target}`, ['Content-Length: 1000'], 'x'.repeat(400));
  assert.equal((await served.request('GET', session)).headers.range, '0-399');
  expectStatus(await served.request('PUT', target, { body: 'x'.repeat(600) }), 201);
});

test('a single POST whose client leaves leaves nothing', async () => {
  const before = await filesBelow(served.root);
  const target = `/v2/left/post/blobs/uploads/?digest=${digestOf('x'.repeat(1000))}`;
  await leave(target, `POST ${target}`, ['Content-Length: 1000'], 'x'.repeat(400));
  assert.deepEqual(await filesBelow(served.root), before);
});

test('a manifest whose client leaves leaves nothing', async () => {
  const before = await filesBelow(served.root);
  const target = '/v2/left/manifest/manifests/v1';
  const headers = [`Content-Type: ${mediaType}`, 'Content-Length: 900'];
  await leave(target, `PUT ${target}`, headers, '{"schema');
  assert.deepEqual(await filesBelow(served.root), before);
  const tags = await served.request('GET', '/v2/left/manifest/tags/list');
  assert.equal(statusAndCode(tags), '404 NAME_UNKNOWN');
});

test('a client that leaves after the headers, or in the middle of them, harms nobody', async () => {
  for (const text of [
    '',
    'G',
    'GET /v2/ HTTP/1.1\r\nHo',
    headOf('POST /v2/x/blobs/uploads/', 'Content-Length: 5'),
  ]) {
    const connection = await RawConnection.open(served.port);
    connection.send(text);
    connection.vanish();
  }
  assert.equal((await served.request('GET', '/v2/')).status, 200);
});

test('a download whose client leaves is logged with the bytes that were sent', async () => {
  const target = `/v2/big/blobs/${big.digest}?left`;
  const connection = await RawConnection.open(served.port);
  connection.send(headOf(`GET ${target}`));
  await connection.waitFor(/\r\n\r\n/);
  connection.vanish();
  const [line] = await served.accessLines(target);
  assert.equal(line?.statusCode, 200);
  assert.ok(Number(line?.bodySize) < big.bytes.length, String(line?.bodySize));
});

test('a client that leaves right after its last byte has pushed everything or nothing', async () => {
  for (let round = 0; round < 10; round += 1) {
    const blob = contentOf(`pushed and gone ${round}`, 'application/octet-stream');
    const target = `/v2/gone/blobs/uploads/?digest=${blob.digest}`;
    const headers = [`Content-Length: ${blob.bytes.length}`];
    const line = await leave(target, `POST ${target}`, headers, blob.bytes.toString());
    const pulled = await served.request('GET', `/v2/gone/blobs/${blob.digest}`);
    assert.equal(pulled.status, line.statusCode === 201 ? 200 : 404, String(line.statusCode));
  }
});
