import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { digestOf, expectStatus, startUpload } from './support/content.ts';
import { headOf, RawConnection } from './support/raw.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
before(async () => {
  served = await serveRegistry();
});
after(() => served.close());

/** Begins a PATCH that hangs in the middle of its body, and waits until nothing of it is on the way any more. */
async function hangingPatch(session: string): Promise<RawConnection> {
  const connection = await RawConnection.open(served.port);
  connection.send(headOf(`PATCH ${session}`, 'Content-Length: 3000000') + 'x'.repeat(2_000_000));
  const deadlineMs = performance.now() + 5000;
  let last = '0-0';
  for (let unchanged = 0; unchanged < 30; unchanged += 1) {
    const { range = '' } = (await served.request('GET', session)).headers;
    if (range === '0-0' || range !== last) unchanged = 0;
    last = range;
    if (performance.now() > deadlineMs) throw new Error('the bytes do not arrive');
  }
  return connection;
}

test('a newer PATCH takes over at once from one that hangs, and goes on where its bytes end', async () => {
  const session = await startUpload(served, 'take/over');
  const hanging = await hangingPatch(session);
  const startedMs = performance.now();
  const answer = await served.request('PATCH', session, { body: 'yyy' });
  assert.equal(answer.status, 202, answer.text);
  assert.ok(performance.now() - startedMs < 3000);
  assert.equal(answer.headers.range, '0-2000002');
  const refused = await hanging.waitFor(/\}$/);
  assert.match(refused, /^HTTP\/1\.1 409 [\s\S]*BLOB_UPLOAD_INVALID/);
  const target = `${session}?digest=${digestOf(`${'x'.repeat(2_000_000)}yyy`)}`;
  expectStatus(await served.request('PUT', target), 201);
});

test('what the older request still sends is not mixed in', async () => {
  const session = await startUpload(served, 'take/late');
  const hanging = await hangingPatch(session);
  const [answer] = await Promise.all([
    served.request('PATCH', session, { body: 'yyy' }),
    Promise.resolve(hanging.send('z'.repeat(800_000))),
  ]);
  assert.equal(answer.status, 202, answer.text);
  const range = answer.headers.range ?? '';
  hanging.send('z'.repeat(100_000));
  await hanging.waitForEnd(8000);
  assert.equal((await served.request('GET', session)).headers.range, range);
});

test('a PUT and a cancellation take over as well', async () => {
  const first = await startUpload(served, 'take/put');
  await hangingPatch(first);
  const target = `${first}?digest=${digestOf('x'.repeat(2_000_000))}`;
  expectStatus(await served.request('PUT', target), 201);
  const second = await startUpload(served, 'take/cancel');
  const hanging = await hangingPatch(second);
  expectStatus(await served.request('DELETE', second), 204);
  assert.equal((await served.request('GET', second)).status, 404);
  await hanging.waitFor(/^HTTP\/1\.1 (404|409) /);
});

test('many PATCHes at once on one upload leave one well-formed upload', async () => {
  const session = await startUpload(served, 'take/many');
  const body = 'abcdefghij';
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => served.request('PATCH', session, { body })),
  );
  const taken = answers.filter(({ status }) => status === 202).length;
  assert.ok(answers.every(({ status }) => [202, 409].includes(status)));
  const { range = '' } = (await served.request('GET', session)).headers;
  const sizeBytes = Number(range.slice(2)) + 1;
  assert.ok(sizeBytes >= taken * body.length, range);
  // Only whole bodies, or the beginnings of those that were taken over.
  const target = `${session}?digest=${digestOf(body.repeat(taken))}`;
  if (sizeBytes === taken * body.length) expectStatus(await served.request('PUT', target), 201);
});

test('of two finishes at once one makes the blob, and neither breaks it', async () => {
  const session = await startUpload(served, 'take/finish');
  expectStatus(await served.request('PATCH', session, { body: 'finish' }), 202);
  const target = `${session}?digest=${digestOf('finish')}`;
  const answers = await Promise.all([served.request('PUT', target), served.request('PUT', target)]);
  const statuses = answers.map(({ status }) => status).sort((a, b) => a - b);
  assert.equal(statuses[0], 201, statuses.join());
  assert.ok([201, 404].includes(statuses[1] ?? 0), statuses.join());
  const blob = await served.request('GET', `/v2/take/finish/blobs/${digestOf('finish')}`);
  assert.equal(blob.text, 'finish');
});
