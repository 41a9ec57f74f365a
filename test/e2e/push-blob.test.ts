import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorOf, statusAndCode, type Answer } from './support/client.ts';
import { contentOf, digestOf, expectStatus, startUpload, type Content } from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
before(async () => {
  served = await serveRegistry();
});
after(() => served.close());

const octets = { 'content-type': 'application/octet-stream' };
let count = 0;
/** Bytes that no other test pushes. */
const fresh = (): Content => contentOf(`content ${(count += 1)}`, 'application/octet-stream');

async function assertPulled(repo: string, digest: string, bytes: Buffer): Promise<void> {
  const answer = await served.request('GET', `/v2/${repo}/blobs/${digest}`);
  assert.equal(answer.status, 200);
  assert.ok(answer.body.equals(bytes));
}

async function assertCreated(answer: Answer, repo: string, digest: string, bytes: Buffer): Promise<void> {
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers.location, `/v2/${repo}/blobs/${digest}`);
  assert.equal(answer.headers['docker-content-digest'], digest);
  assert.equal(answer.body.length, 0);
  await assertPulled(repo, digest, bytes);
}

test('a blob goes up in one POST', async () => {
  const { digest, bytes } = fresh();
  const target = `/v2/one/post/blobs/uploads/?digest=${digest}`;
  const answer = await served.request('POST', target, { headers: octets, body: bytes });
  await assertCreated(answer, 'one/post', digest, bytes);
});

test('one POST may come in pieces without a length, and with any content type', async () => {
  for (const headers of [octets, {}, { 'content-type': 'image/png; x=y' }, { 'content-type': '' }]) {
    const { digest, bytes } = fresh();
    const body = [bytes.subarray(0, 3), bytes.subarray(3)];
    const answer = await served.request('POST', `/v2/one/post/blobs/uploads/?digest=${digest}`, {
      headers,
      body,
    });
    await assertCreated(answer, 'one/post', digest, bytes);
  }
});

test('the digest in the query may be percent-encoded', async () => {
  const { digest, bytes } = fresh();
  const target = `/v2/one/post/blobs/uploads/?digest=${encodeURIComponent(digest)}`;
  await assertCreated(await served.request('POST', target, { body: bytes }), 'one/post', digest, bytes);
});

test('POST, then PUT with the whole', async () => {
  const { digest, bytes } = fresh();
  const session = await startUpload(served, 'post/put');
  assert.match(session, /^\/v2\/post\/put\/blobs\/uploads\/[0-9a-f-]{36}$/);
  const answer = await served.request('PUT', `${session}?digest=${digest}`, { headers: octets, body: bytes });
  await assertCreated(answer, 'post/put', digest, bytes);
});

test('a session begins with its place, id and an empty range', async () => {
  const answer = await served.request('POST', '/v2/begin/blobs/uploads/');
  assert.equal(answer.status, 202);
  const id = answer.headers['docker-upload-uuid'];
  assert.equal(answer.headers.location, `/v2/begin/blobs/uploads/${id?.toString()}`);
  assert.equal(answer.headers['blob-upload-uuid'], id);
  assert.equal(answer.headers.range, '0-0');
});

test('an empty blob goes up in each way', async () => {
  const { digest, bytes } = contentOf('', 'application/octet-stream');
  const one = await served.request('POST', `/v2/empty/a/blobs/uploads/?digest=${digest}`, { body: '' });
  await assertCreated(one, 'empty/a', digest, bytes);
  const second = await startUpload(served, 'empty/b');
  await assertCreated(await served.request('PUT', `${second}?digest=${digest}`), 'empty/b', digest, bytes);
  const third = await startUpload(served, 'empty/c');
  expectStatus(await served.request('PATCH', third, { body: '' }), 202);
  await assertCreated(await served.request('PUT', `${third}?digest=${digest}`), 'empty/c', digest, bytes);
  const chunked = await startUpload(served, 'empty/d');
  const ended = await served.request('PUT', `${chunked}?digest=${digest}`, { body: [] });
  await assertCreated(ended, 'empty/d', digest, bytes);
});

test('sha384 and sha512 are as good as sha256, in each way', async () => {
  for (const algorithm of ['sha384', 'sha512']) {
    const { bytes } = fresh();
    const digest = digestOf(bytes, algorithm);
    const one = await served.request('POST', `/v2/sha/a/blobs/uploads/?digest=${digest}`, { body: bytes });
    await assertCreated(one, 'sha/a', digest, bytes);
    const session = await startUpload(served, 'sha/b');
    expectStatus(await served.request('PATCH', session, { body: bytes.subarray(0, 4) }), 202);
    const ended = await served.request('PUT', `${session}?digest=${digest}`, { body: bytes.subarray(4) });
    await assertCreated(ended, 'sha/b', digest, bytes);
  }
});

test('what is there already is taken again', async () => {
  const { digest, bytes } = fresh();
  const target = `/v2/again/blobs/uploads/?digest=${digest}`;
  for (let time = 0; time < 3; time += 1) {
    await assertCreated(await served.request('POST', target, { body: bytes }), 'again', digest, bytes);
  }
});

test('a wrong digest in one POST is refused and leaves nothing', async () => {
  const { bytes } = fresh();
  const wrong = digestOf('something else');
  const answer = await served.request('POST', `/v2/wrong/one/blobs/uploads/?digest=${wrong}`, {
    body: bytes,
  });
  assert.equal(statusAndCode(answer), '400 DIGEST_INVALID');
  assert.equal(errorOf(answer).detail.digest, wrong);
  assert.equal(errorOf(answer).detail.actual, digestOf(bytes));
  const left = await filesBelow(served.root);
  assert.deepEqual(
    left.filter((name) => name.startsWith('wrong/one')),
    [],
  );
});

test('a wrong digest at the end of a session keeps it, for the right one', async () => {
  const { digest, bytes } = fresh();
  const session = await startUpload(served, 'wrong/session');
  const wrong = digestOf('something else');
  const refused = await served.request('PUT', `${session}?digest=${wrong}`, { body: bytes });
  assert.equal(statusAndCode(refused), '400 DIGEST_INVALID');
  const status = await served.request('GET', session);
  assert.equal(status.status, 204);
  assert.equal(status.headers.range, `0-${bytes.length - 1}`);
  await assertCreated(
    await served.request('PUT', `${session}?digest=${digest}`),
    'wrong/session',
    digest,
    bytes,
  );
});

test('a digest that is none is refused before anything is written', async () => {
  const bad = [
    'sha256:short',
    'md5:abc',
    '',
    'sha256',
    `sha256:${'A'.repeat(64)}`,
    `sha256:../../${'a'.repeat(58)}`,
  ];
  for (const digest of bad) {
    const target = `/v2/bad/digest/blobs/uploads/?digest=${encodeURIComponent(digest)}`;
    const answer = await served.request('POST', target, { body: 'x' });
    assert.equal(statusAndCode(answer), '400 DIGEST_INVALID', digest);
    const session = await startUpload(served, 'bad/put');
    const put = await served.request('PUT', `${session}?digest=${encodeURIComponent(digest)}`, { body: 'x' });
    assert.equal(statusAndCode(put), '400 DIGEST_INVALID', digest);
    assert.equal((await served.request('GET', session)).headers.range, '0-0');
  }
  assert.deepEqual(
    (await filesBelow(served.root)).filter((name) => name.startsWith('bad/digest')),
    [],
  );
});

test('PUT without a digest, or with two, is refused; the session stays', async () => {
  const session = await startUpload(served, 'put/digest');
  assert.equal(statusAndCode(await served.request('PUT', session, { body: 'x' })), '400 DIGEST_INVALID');
  const two = `${session}?digest=${digestOf('x')}&digest=${digestOf('y')}`;
  assert.equal(statusAndCode(await served.request('PUT', two, { body: 'x' })), '400 REQUEST_INVALID');
  const post = `/v2/put/digest/blobs/uploads/?digest=${digestOf('x')}&digest=${digestOf('y')}`;
  assert.equal(statusAndCode(await served.request('POST', post, { body: 'x' })), '400 REQUEST_INVALID');
  assert.equal((await served.request('GET', session)).status, 204);
});

test('a session that is finished or cancelled is unknown', async () => {
  const { digest, bytes } = fresh();
  const done = await startUpload(served, 'over');
  expectStatus(await served.request('PUT', `${done}?digest=${digest}`, { body: bytes }), 201);
  const cancelled = await startUpload(served, 'over');
  const answer = await served.request('DELETE', cancelled);
  assert.equal(answer.status, 204);
  for (const session of [done, cancelled]) {
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      assert.equal(statusAndCode(await served.request(method, session)), '404 BLOB_UPLOAD_UNKNOWN');
    }
    const put = await served.request('PUT', `${session}?digest=${digest}`, { body: bytes });
    assert.equal(statusAndCode(put), '404 BLOB_UPLOAD_UNKNOWN');
  }
});

test('a session belongs to its repository', async () => {
  const session = await startUpload(served, 'mine');
  const foreign = session.replace('/mine/', '/yours/');
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    assert.equal(statusAndCode(await served.request(method, foreign)), '404 BLOB_UPLOAD_UNKNOWN');
  }
  const { digest, bytes } = fresh();
  const put = await served.request('PUT', `${foreign}?digest=${digest}`, { body: bytes });
  assert.equal(statusAndCode(put), '404 BLOB_UPLOAD_UNKNOWN');
  assert.equal((await served.request('GET', session)).status, 204);
});

test('a body on a plain POST is not taken (zot)', async () => {
  const answer = await served.request('POST', '/v2/plain/post/blobs/uploads/', { body: 'ignored' });
  assert.equal(answer.status, 202);
  assert.equal((await served.request('GET', answer.headers.location ?? '')).headers.range, '0-0');
});

test('uploads and blobs alone make no repository', async () => {
  const { digest, bytes } = fresh();
  await served.request('POST', `/v2/only/blob/blobs/uploads/?digest=${digest}`, { body: bytes });
  await startUpload(served, 'only/upload');
  for (const repo of ['only/blob', 'only/upload']) {
    const tags = await served.request('GET', `/v2/${repo}/tags/list`);
    assert.equal(statusAndCode(tags), '404 NAME_UNKNOWN');
  }
  const catalog = (await served.request('GET', '/v2/_catalog')).body.toString();
  assert.ok(!catalog.includes('only/'));
});
