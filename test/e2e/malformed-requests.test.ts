import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { digestOf, imageOf, OCI_MANIFEST, pushBlob, startUpload } from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { exchange, headOf, RawConnection } from './support/raw.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('malformed');
before(async () => {
  served = await serveRegistry({ http: { idleTimeout: '2s' } });
  await pushBlob(served, 'm', image.config);
});
after(() => served.close());

/** The status of the one answer to some bytes, whose body has the form of the error list. */
async function refusedWith(data: string): Promise<number> {
  const text = await exchange(served.port, data, 8000);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const parsed = JSON.parse(body) as { errors: { code: string; detail: { description: string } }[] };
  assert.ok(parsed.errors[0]?.code);
  assert.match(head, /content-type: application\/json/i);
  assert.match(head, /connection: close/i);
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
}

test('headers beyond 64 KiB are 431', async () => {
  assert.equal(await refusedWith(headOf('GET /v2/', `X-Large: ${'x'.repeat(100_000)}`)), 431);
  assert.equal(await refusedWith(headOf(`GET /v2/${'x'.repeat(100_000)}`)), 431);
  const many = Array.from({ length: 8000 }, (_, at) => `X-${at}: xxxxxxxx`);
  assert.equal(await refusedWith(headOf('GET /v2/', ...many)), 431);
});

test('headers of 60 KB are read', async () => {
  const text = await exchange(
    served.port,
    headOf('GET /v2/', `X: ${'x'.repeat(60_000)}`, 'Connection: close'),
  );
  assert.match(text, /^HTTP\/1\.1 200 /);
});

test('lengths that contradict each other are refused: nothing is smuggled', async () => {
  const smuggled = headOf('GET /v2/_catalog', 'X: smuggled');
  const patch = `PATCH ${await startUpload(served, 'm')}`;
  const cases: readonly string[] = [
    headOf(patch, 'Content-Length: 4', 'Transfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`,
    headOf(patch, 'Transfer-Encoding: chunked', 'Content-Length: 4') + `0\r\n\r\n${smuggled}`,
    headOf(patch, 'Content-Length: 4', 'Content-Length: 5') + `abcde${smuggled}`,
    headOf(patch, 'Content-Length: 4, 4') + `abcd${smuggled}`,
    headOf(patch, 'Content-Length: +4') + `abcd${smuggled}`,
    headOf(patch, 'Content-Length: -1') + smuggled,
    headOf(patch, 'Content-Length: 0x4') + `abcd${smuggled}`,
    headOf(patch, 'Content-Length: 4 4') + smuggled,
    headOf(patch, 'Content-Length: 99999999999999999999') + smuggled,
    headOf(patch, 'Content-Length : 4') + `abcd${smuggled}`,
    headOf(patch, 'Transfer-Encoding: xchunked') + `0\r\n\r\n${smuggled}`,
    headOf(patch, 'Transfer-Encoding: chunked, identity') + `0\r\n\r\n${smuggled}`,
    headOf(patch, 'Transfer-Encoding: chunked') + `g\r\nx\r\n0\r\n\r\n${smuggled}`,
    headOf(patch, 'Transfer-Encoding: chunked') + `-1\r\nx\r\n0\r\n\r\n${smuggled}`,
    headOf(patch, 'Transfer-Encoding: chunked') + `ffffffffffffffffff\r\nx`,
    headOf(patch, 'Transfer-Encoding: chunked') + `1\nx\n0\n\n`,
  ];
  for (const data of cases) {
    assert.equal(await refusedWith(data), 400, data.slice(0, 200));
    assert.deepEqual(await smuggledLines(), []);
  }
});

async function smuggledLines(): Promise<unknown[]> {
  const lines = await served.logLines();
  return lines.filter((line) => line.path === '/v2/_catalog');
}

test('lines that are no HTTP are 400', async () => {
  const cases = [
    'x\r\n\r\n',
    'GET\r\n\r\n',
    'GET /v2/ HTTP/9.9\r\n\r\n',
    'GET /v2/\0 HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nX\0: y\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'get /v2/ HTTP/1.1\r\nHost: x\r\n\r\n',
  ];
  for (const data of cases) assert.equal(await refusedWith(data), 400, JSON.stringify(data));
});

test('HTTP/1.1 without a Host is refused; HTTP/1.0 needs none', async () => {
  assert.match(
    await exchange(served.port, 'GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 400 /,
  );
  assert.match(await exchange(served.port, 'GET /v2/ HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
});

test('several hosts are refused, on every route and without one', async () => {
  for (const line of ['GET /v2/', 'GET /livez', 'PUT /v2/m/manifests/v1', 'GET /nowhere']) {
    for (const more of ['Host: other', 'HOST: registry', 'host:']) {
      const data = headOf(line, more, 'Content-Length: 0', 'Connection: close');
      assert.equal(await refusedWith(data), 400, data);
    }
  }
});

test('malformed requests are noted in the log', async () => {
  await refusedWith('nonsense\r\n\r\n');
  const lines = await served.logLines();
  const found = lines.findLast((line) => String(line.message).startsWith('refused: '));
  assert.equal(found?.statusCode, 400);
  assert.match(String(found?.clientIP), /^127\.0\.0\.1:/);
});

test('bytes beyond the announced length are no part of the body', async () => {
  const session = await startUpload(served, 'm');
  const text = await exchange(
    served.port,
    headOf(`PATCH ${session}`, 'Content-Length: 3') + 'abcdefg\r\n\r\n',
  );
  assert.match(text, /HTTP\/1\.1 400 /);
  assert.match((await served.request('GET', session)).headers.range ?? '', /^0-[02]$/);
});

test('an endless manifest is refused when it is too large, and the connection ends', async () => {
  const before = await filesBelow(served.root);
  const connection = await RawConnection.open(served.port);
  connection.send(
    headOf('PUT /v2/m/manifests/v1', `Content-Type: ${OCI_MANIFEST}`, 'Transfer-Encoding: chunked'),
  );
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  const flood = setInterval(() => connection.send(chunk), 1);
  try {
    await connection.waitFor(/^HTTP\/1\.1 413 [\s\S]*\}$/);
    await connection.waitForEnd(8000);
  } finally {
    clearInterval(flood);
  }
  assert.deepEqual(await filesBelow(served.root), before);
});

test('endless bodies of requests that take none end as well', async () => {
  const lines = [
    'GET /v2/',
    'DELETE /v2/m/manifests/v1',
    'POST /v2/m/blobs/uploads/',
    'PUT /nowhere',
    'OPTIONS /v2/',
  ];
  const endless = async (line: string): Promise<void> => {
    const connection = await RawConnection.open(served.port);
    connection.send(headOf(line, 'Transfer-Encoding: chunked'));
    const flood = setInterval(() => connection.send(`1000\r\n${'x'.repeat(0x1000)}\r\n`), 5);
    try {
      await connection.waitFor(/^HTTP\/1\.1 \d{3} /);
      await connection.waitForEnd(8000);
    } finally {
      clearInterval(flood);
    }
  };
  await Promise.all(lines.map(endless));
});

test('a refused body of some size is read to its end, so that the connection goes on', async () => {
  const connection = await RawConnection.open(served.port);
  const body = 'x'.repeat(2 * 1024 * 1024);
  connection.send(
    headOf('PUT /v2/m/manifests/v1', 'Content-Type: text/plain', `Content-Length: ${body.length}`) + body,
  );
  await connection.waitFor(/^HTTP\/1\.1 415 [\s\S]*\}$/);
  connection.send(headOf('GET /v2/', 'Connection: close'));
  assert.match(await connection.waitForEnd(), /HTTP\/1\.1 200 /);
});

test('Expect: 100-continue: a refusal comes before the body is asked for', async () => {
  const expect = 'Expect: 100-continue';
  const id = '00000000-0000-4000-8000-000000000000';
  const cases: readonly [request: string, status: number][] = [
    [
      headOf('PUT /v2/m/manifests/v1', expect, `Content-Type: ${OCI_MANIFEST}`, 'Content-Length: 9000000'),
      413,
    ],
    [headOf('PUT /v2/m/manifests/v1', expect, 'Content-Type: text/plain', 'Content-Length: 100'), 415],
    [headOf(`PATCH /v2/m/blobs/uploads/${id}`, expect, 'Content-Length: 100'), 404],
    [headOf(`PUT /v2/m/blobs/uploads/${id}`, expect, 'Content-Length: 100'), 400],
    [headOf('POST /v2/m/blobs/uploads/?digest=bad', expect, 'Content-Length: 100'), 400],
    [headOf('PUT /nowhere', expect, 'Content-Length: 100'), 404],
  ];
  for (const [request, status] of cases) {
    const text = await exchange(served.port, request);
    assert.ok(text.startsWith(`HTTP/1.1 ${status} `), `${request} -> ${text.slice(0, 100)}`);
    assert.ok(!text.includes('100 Continue'));
  }
});

test('Expect: 100-continue: a body that is wanted is asked for, once', async () => {
  const connection = await RawConnection.open(served.port);
  const target = `/v2/m/blobs/uploads/?digest=${digestOf('hello')}`;
  connection.send(headOf(`POST ${target}`, 'Expect: 100-continue', 'Content-Length: 5', 'Connection: close'));
  await connection.waitFor(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  connection.send('hello');
  const text = await connection.waitForEnd();
  assert.match(text, /HTTP\/1\.1 201 /);
  assert.equal(text.split('100 Continue').length, 2);
});

test('an expectation that nobody knows is met by the plain answer', async () => {
  const text = await exchange(served.port, headOf('GET /v2/', 'Expect: the-unexpected', 'Connection: close'));
  assert.match(text, /^HTTP\/1\.1 (200|417) /);
});
