import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { contentOf, digestOf, expectStatus, imageOf, pushBlob, startUpload } from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { exchange, headOf, RawConnection } from './support/raw.ts';
import { serveRegistry, type Served } from './support/served.ts';

const IDLE_MS = 300;
let served: Served;
const big = contentOf(Buffer.alloc(64 * 1024 * 1024, 7), 'application/octet-stream');

before(async () => {
  served = await serveRegistry({ http: { idleTimeout: `${IDLE_MS}ms` } });
  await pushBlob(served, 'big', big);
});
after(() => served.close());

const rangeOf = async (session: string): Promise<string | undefined> =>
  (await served.request('GET', session)).headers.range;

test('a body that stalls is answered 408 in time, and what arrived is kept', async () => {
  const session = await startUpload(served, 'stalled');
  const connection = await RawConnection.open(served.port);
  const startedMs = performance.now();
  connection.send(headOf(`PATCH ${session}`, 'Content-Length: 10000') + 'x'.repeat(5000));
  const answer = await connection.waitFor(/\}$/);
  assert.match(answer, /^HTTP\/1\.1 408 /);
  assert.match(answer, /"code":"REQUEST_TIMEOUT"/);
  assert.match(answer, /connection: close/i);
  assert.ok(performance.now() - startedMs < 6 * IDLE_MS);
  await connection.waitForEnd();
  assert.equal(await rangeOf(session), '0-4999');
  const rest = await served.request('PATCH', session, { body: 'x'.repeat(5000) });
  assert.equal(rest.headers.range, '0-9999');
});

test('a body of a byte now and then is no progress', async () => {
  const session = await startUpload(served, 'dripping');
  const connection = await RawConnection.open(served.port);
  connection.send(headOf(`PATCH ${session}`, 'Content-Length: 100000'));
  const drip = setInterval(() => connection.send('x'), 20);
  try {
    assert.match(await connection.waitFor(/\}$/), /^HTTP\/1\.1 408 /);
  } finally {
    clearInterval(drip);
  }
  assert.match((await rangeOf(session)) ?? '', /^0-\d+$/);
});

test('a whole upload may take many times the limit as long as it moves', async () => {
  const session = await startUpload(served, 'steady');
  const connection = await RawConnection.open(served.port);
  const pieces = 16;
  connection.send(headOf(`PATCH ${session}`, `Content-Length: ${pieces * 2048}`));
  for (let piece = 0; piece < pieces; piece += 1) {
    connection.send(Buffer.alloc(2048));
    await pause(IDLE_MS / 3);
  }
  assert.match(await connection.waitFor(/\r\n\r\n/), /^HTTP\/1\.1 202 /);
  connection.vanish();
});

test('a manifest that stalls is answered 408 and leaves nothing', async () => {
  const before = await filesBelow(served.root);
  const connection = await RawConnection.open(served.port);
  const { mediaType } = imageOf('x').manifest;
  connection.send(
    headOf('PUT /v2/m/manifests/v1', `Content-Type: ${mediaType}`, 'Content-Length: 500') + '{',
  );
  assert.match(await connection.waitFor(/\}$/), /^HTTP\/1\.1 408 /);
  assert.deepEqual(await filesBelow(served.root), before);
});

test('a single POST that stalls is answered 408 and leaves nothing', async () => {
  const before = await filesBelow(served.root);
  const connection = await RawConnection.open(served.port);
  connection.send(headOf(`POST /v2/p/blobs/uploads/?digest=${digestOf('x')}`, 'Content-Length: 500') + 'xxx');
  assert.match(await connection.waitFor(/\}$/), /^HTTP\/1\.1 408 /);
  await connection.waitForEnd();
  assert.deepEqual(await filesBelow(served.root), before);
});

test('a PUT that stalls keeps its session and what arrived', async () => {
  const session = await startUpload(served, 'stalled/put');
  const connection = await RawConnection.open(served.port);
  connection.send(
    headOf(`PUT ${session}?digest=${digestOf('x'.repeat(500))}`, 'Content-Length: 500') + 'xxx',
  );
  assert.match(await connection.waitFor(/\}$/), /^HTTP\/1\.1 408 /);
  assert.equal(await rangeOf(session), '0-2');
  const target = `${session}?digest=${digestOf('x'.repeat(500))}`;
  expectStatus(await served.request('PUT', target, { body: 'x'.repeat(497) }), 201);
});

test('an answer that nobody reads ends, with the bytes that were taken in the log', async () => {
  const target = `/v2/big/blobs/${big.digest}?unread`;
  const connection = await RawConnection.open(served.port);
  connection.stopReading();
  connection.send(headOf(`GET ${target}`));
  const [line] = await served.accessLines(target);
  assert.equal(line?.statusCode, 200);
  connection.resumeReading();
  await connection.waitForEnd();
  assert.ok(connection.bytesReceived < big.bytes.length);
});

test('a download may take many times the limit as long as it moves', async () => {
  const connection = await RawConnection.open(served.port);
  connection.send(headOf(`GET /v2/big/blobs/${big.digest}`, 'Connection: close'));
  for (let turn = 0; turn < 20; turn += 1) {
    connection.stopReading();
    await pause(IDLE_MS / 3);
    connection.resumeReading();
    const before = connection.bytesReceived;
    for (let wait = 0; wait < 100 && connection.bytesReceived < before + 200_000; wait += 1) await pause(1);
  }
  await connection.waitForEnd(10_000);
  assert.ok(connection.bytesReceived > big.bytes.length);
});

test('a pipelined request does not hide an answer that nobody reads', async () => {
  const target = `/v2/big/blobs/${big.digest}?pipelined`;
  const connection = await RawConnection.open(served.port);
  connection.stopReading();
  connection.send(headOf(`GET ${target}`) + headOf('GET /v2/'));
  await served.accessLines(target);
  connection.resumeReading();
  await connection.waitForEnd();
});

test('requests that are sent ahead wait their turn, and no more of them than a client may send', async () => {
  const target = `/v2/big/blobs/${big.digest}?ahead`;
  const connection = await RawConnection.open(served.port);
  connection.stopReading();
  connection.send(headOf(`GET ${target}`) + headOf('GET /v2/?behind').repeat(20));
  await served.accessLines(target);
  const behind = (await served.logLines()).filter((line) => line.path === '/v2/?behind');
  assert.deepEqual(behind, [], 'nothing is done for an answer that cannot be sent');
  connection.resumeReading();
  await connection.waitForEnd();
  const inTurn = headOf('GET /v2/?in-turn');
  const few = await exchange(served.port, inTurn.repeat(100) + headOf('GET /v2/', 'Connection: close'));
  assert.equal(few.match(/^HTTP\/1\.1 200 /gm)?.length, 101);
  const many = await exchange(served.port, inTurn.repeat(2000));
  assert.ok((many.match(/^HTTP\/1\.1 200 /gm)?.length ?? 0) < 2000);
});

test('a server that is slow itself cuts nobody off', async () => {
  // The digest of another algorithm makes it read the whole upload again; 64 MiB take longer than the limit below.
  const hasty = await serveRegistry({ http: { idleTimeout: '20ms' } });
  try {
    const session = await startUpload(hasty, 'slow');
    expectStatus(await hasty.request('PATCH', session, { body: big.bytes }), 202);
    const target = `${session}?digest=${digestOf(big.bytes, 'sha512')}`;
    expectStatus(await hasty.request('PUT', target), 201);
  } finally {
    await hasty.close();
  }
});

test('headers that dribble in are answered 408 after ten seconds', async () => {
  const connection = await RawConnection.open(served.port);
  const startedMs = performance.now();
  connection.send('GET /v2/ HTTP/1.1\r\nHost: registry\r\nX: ');
  const drip = setInterval(() => connection.send('x'), 100);
  try {
    const answer = await connection.waitForEnd(15_000);
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /"code":"REQUEST_TIMEOUT"/);
    assert.ok(performance.now() - startedMs >= 9_000);
  } finally {
    clearInterval(drip);
  }
});
