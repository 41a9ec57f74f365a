import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { errorOf, statusAndCode, type Answer, type Call } from './support/client.ts';
import { digestOf, expectStatus, startUpload } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
before(async () => {
  served = await serveRegistry();
});
after(() => served.close());

const bytes = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');
const digest = digestOf(bytes);
const length = bytes.length;

const patch = (session: string, body: Call['body'], range?: string): Promise<Answer> =>
  served.request('PATCH', session, {
    headers: range === undefined ? {} : { 'content-range': range },
    ...(body === undefined ? {} : { body }),
  });

const put = (session: string, body?: Call['body'], range?: string): Promise<Answer> =>
  served.request('PUT', `${session}?digest=${digest}`, {
    headers: range === undefined ? {} : { 'content-range': range },
    ...(body === undefined ? {} : { body }),
  });

async function assertWhole(session: string, answer: Answer): Promise<void> {
  assert.equal(answer.status, 201, answer.text);
  const repo = session.slice('/v2/'.length, session.indexOf('/blobs/'));
  const pulled = await served.request('GET', `/v2/${repo}/blobs/${digest}`);
  assert.ok(pulled.body.equals(bytes));
}

test('chunks in order with their ranges, closed by a bodiless PUT', async () => {
  const session = await startUpload(served, 'chunks/ranges');
  const first = await patch(session, bytes.subarray(0, 10), '0-9');
  assert.equal(first.status, 202);
  assert.equal(first.headers.range, '0-9');
  assert.equal(first.headers.location, session);
  assert.ok(first.headers['docker-upload-uuid']);
  const second = await patch(session, bytes.subarray(10), `10-${length - 1}`);
  assert.equal(second.headers.range, `0-${length - 1}`);
  await assertWhole(session, await put(session));
});

test('a streamed PATCH appends, and always reports the whole so far (zot reports its own length)', async () => {
  const session = await startUpload(served, 'chunks/stream');
  const first = await patch(session, [bytes.subarray(0, 4), bytes.subarray(4, 10)]);
  assert.equal(first.headers.range, '0-9');
  const second = await patch(session, bytes.subarray(10, 20));
  assert.equal(second.headers.range, '0-19');
  const nothing = await patch(session, '');
  assert.equal(nothing.headers.range, '0-19');
  await patch(session, [bytes.subarray(20)]);
  await assertWhole(session, await put(session));
});

test('the last piece may come with the PUT: with a range, without one, in chunked transfer encoding', async () => {
  const ways: readonly ((session: string) => Promise<Answer>)[] = [
    (session) => put(session, bytes.subarray(10), `10-${length - 1}`),
    (session) => put(session, bytes.subarray(10)),
    (session) => put(session, [bytes.subarray(10, 12), bytes.subarray(12)]),
    (session) => put(session, [bytes.subarray(10)], `10-${length - 1}`),
  ];
  for (const [at, finish] of ways.entries()) {
    const session = await startUpload(served, `chunks/last${at}`);
    expectStatus(await patch(session, bytes.subarray(0, 10), '0-9'), 202);
    await assertWhole(session, await finish(session));
  }
});

test('a chunk out of order is 416 with the size; the upload goes on where it was', async () => {
  const session = await startUpload(served, 'chunks/order');
  expectStatus(await patch(session, bytes.subarray(0, 10), '0-9'), 202);
  for (const range of ['0-9', '5-14', '11-20', '100-109']) {
    const answer = await patch(session, bytes.subarray(0, 10), range);
    assert.equal(statusAndCode(answer), '416 BLOB_UPLOAD_INVALID', range);
    assert.equal(errorOf(answer).detail.size, 10);
  }
  const late = await put(session, bytes.subarray(0, 10), '0-9');
  assert.equal(statusAndCode(late), '416 BLOB_UPLOAD_INVALID');
  const status = await served.request('GET', session);
  assert.equal(status.status, 204);
  assert.equal(status.headers.range, '0-9');
  assert.equal(status.headers.location, session);
  expectStatus(await patch(session, bytes.subarray(10), `10-${length - 1}`), 202);
  await assertWhole(session, await put(session));
});

test('a first chunk that does not begin at 0 is 416', async () => {
  const session = await startUpload(served, 'chunks/first');
  assert.equal(statusAndCode(await patch(session, 'abc', '1-3')), '416 BLOB_UPLOAD_INVALID');
  assert.equal((await served.request('GET', session)).headers.range, '0-0');
});

test('a Content-Range that is malformed, or not of the length of the body, is 416', async () => {
  const session = await startUpload(served, 'chunks/malformed');
  const cases = [
    '0-10',
    '0-8',
    '9-0',
    '-9',
    '0-',
    'x',
    '',
    'bytes 0-9/5x',
    '0-9-10',
    '0x0-0x9',
    '-1-8',
    '0-99999999999999999',
  ];
  for (const range of cases) {
    const answer = await patch(session, bytes.subarray(0, 10), range);
    assert.equal(statusAndCode(answer), '416 BLOB_UPLOAD_INVALID', range);
  }
  assert.equal((await served.request('GET', session)).headers.range, '0-0');
});

test('a Content-Range as RFC 9110 writes it is understood', async () => {
  const session = await startUpload(served, 'chunks/rfc');
  expectStatus(await patch(session, bytes.subarray(0, 10), `bytes 0-9/${length}`), 202);
  expectStatus(await patch(session, bytes.subarray(10), `bytes 10-${length - 1}/*`), 202);
  await assertWhole(session, await put(session));
});

test('a chunk without a length must be as long as its range says', async () => {
  const session = await startUpload(served, 'chunks/size');
  const long = await patch(session, [bytes.subarray(0, 10)], '0-4');
  assert.equal(statusAndCode(long), '400 SIZE_INVALID');
});

test('many small chunks make the whole', async () => {
  const session = await startUpload(served, 'chunks/many');
  for (const [at, byte] of bytes.entries()) {
    expectStatus(await patch(session, Buffer.of(byte), `${at}-${at}`), 202);
  }
  await assertWhole(session, await put(session));
});

test('an upload begun before a restart is finished after it', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'zot-restart-'));
  const first = await serveRegistry({ root });
  const session = await startUpload(first, 'chunks/restart');
  expectStatus(await first.request('PATCH', session, { body: bytes.subarray(0, 10) }), 202);
  await first.close();
  const again = await serveRegistry({ root });
  try {
    assert.equal((await again.request('GET', session)).headers.range, '0-9');
    const target = `${session}?digest=${digest}`;
    expectStatus(await again.request('PUT', target, { body: bytes.subarray(10) }), 201);
  } finally {
    await again.close();
    await rm(root, { recursive: true });
  }
});
