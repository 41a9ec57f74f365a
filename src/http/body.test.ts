import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { RegistryError } from '#oci/errors';
import { ClientGone, ReceivingBudget, RequestBody, contentLength, hasBody, wholeBody } from './body.ts';

let server: Server;
let handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
before(async () => {
  server = createServer(
    (incoming, response) => void handle(incoming, response).finally(() => response.end()),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => server.close());

/** Sends a request whose body is written by `write`, and gives what the handler makes of it. */
async function received<Result>(
  work: (incoming: IncomingMessage, response: ServerResponse) => Promise<Result>,
  write: (sent: ReturnType<typeof request>) => void,
  headers: Record<string, string> = {},
): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  handle = (incoming, response) => work(incoming, response).then(resolve, reject);
  const { port } = server.address() as AddressInfo;
  const sent = request({ port, host: '127.0.0.1', method: 'PUT', headers, agent: false });
  sent.on('error', () => undefined);
  sent.on('response', (response) => response.resume());
  write(sent);
  try {
    return await promise;
  } finally {
    sent.destroy();
  }
}

async function lengthOf(body: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.length;
  return bytes;
}

describe('the body of a request', () => {
  test('arrives whole, more than is held ahead included', async () => {
    const pieces = Array.from({ length: 50 }, () => Buffer.alloc(100_000, 1));
    const length = await received(
      (incoming, response) => lengthOf(new RequestBody(incoming, response, 0)),
      (sent) => {
        for (const piece of pieces) sent.write(piece);
        sent.end();
      },
    );
    assert.equal(length, 5_000_000);
  });

  test('stalls after the deadline with REQUEST_TIMEOUT, and gives what came before', async () => {
    let bytes = 0;
    const work = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
      for await (const chunk of new RequestBody(incoming, response, 50)) bytes += chunk.length;
    };
    const stalled = received(work, (sent) => sent.write(Buffer.alloc(3000)), { 'content-length': '5000' });
    await assert.rejects(
      stalled,
      (error) => error instanceof RegistryError && error.code === 'REQUEST_TIMEOUT',
    );
    assert.equal(bytes, 3000);
  });

  test('ends with ClientGone when the connection does', async () => {
    const work = (incoming: IncomingMessage, response: ServerResponse): Promise<number> =>
      lengthOf(new RequestBody(incoming, response, 0));
    const left = received(work, (sent) => sent.write(Buffer.alloc(10), () => sent.destroy()), {
      'content-length': '20',
    });
    await assert.rejects(left, ClientGone);
  });

  test('can be stopped while it waits', async () => {
    const stopped = received(
      async (incoming, response) => {
        const body = new RequestBody(incoming, response, 0);
        const reading = lengthOf(body);
        setImmediate(() => body.stop(new Error('taken over')));
        return reading;
      },
      (sent) => sent.write(Buffer.alloc(10)),
      { 'content-length': '20' },
    );
    await assert.rejects(stopped, /taken over/);
  });

  test('is not waited for when it was stopped before it began', async () => {
    const stopped = received(
      async (incoming, response) => {
        const body = new RequestBody(incoming, response, 0);
        body.stop(new Error('too late'));
        return lengthOf(body);
      },
      (sent) => sent.write(Buffer.alloc(10)),
      { 'content-length': '20' },
    );
    await assert.rejects(stopped, /too late/);
  });

  test('keeps no timer after its end', async () => {
    for (let round = 0; round < 3; round += 1) {
      const length = await received(
        (incoming, response) => lengthOf(new RequestBody(incoming, response, 60_000)),
        (sent) => sent.end('abc'),
      );
      assert.equal(length, 3);
    }
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
    assert.ok(timers.length <= 2, timers.join());
  });
});

describe('a whole body', () => {
  const options = { sizeBytesMax: 10, tooLarge: () => new Error('too large') };
  const body = (...pieces: string[]): AsyncIterable<Buffer> =>
    (async function* () {
      for (const piece of pieces) yield Buffer.from(piece);
    })();

  test('is joined up to the limit', async () => {
    assert.equal(
      (await wholeBody(body('abc', 'def'), { ...options, announcedBytes: null })).toString(),
      'abcdef',
    );
    assert.equal((await wholeBody(body('0123456789'), { ...options, announcedBytes: 10 })).length, 10);
    assert.equal((await wholeBody(body(), { ...options, announcedBytes: 0 })).length, 0);
  });

  test('is refused by its announced length before a byte is read, and by its real one', async () => {
    let isRead = false;
    const unread = (async function* () {
      isRead = true;
      yield Buffer.from('x');
    })();
    await assert.rejects(wholeBody(unread, { ...options, announcedBytes: 11 }), /too large/);
    assert.equal(isRead, false);
    await assert.rejects(wholeBody(body('01234567890'), { ...options, announcedBytes: null }), /too large/);
    await assert.rejects(wholeBody(body('01234', '567890'), { ...options, announcedBytes: 3 }), /too large/);
  });
});

test('many bodies at once are bounded together, and room that is given back is used again', async () => {
  const budget = new ReceivingBudget(100);
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const slow = (async function* () {
    yield Buffer.alloc(80);
    await held;
  })();
  const quick = (async function* () {
    yield Buffer.alloc(30);
  })();
  const options = {
    announcedBytes: null,
    sizeBytesMax: 1000,
    tooLarge: () => new Error('too large'),
    budget,
  };
  const receiving = wholeBody(slow, options);
  await Promise.resolve();
  const isUnavailable = (error: unknown) => error instanceof RegistryError && error.code === 'UNAVAILABLE';
  await assert.rejects(wholeBody(quick, options), isUnavailable);
  letGo();
  assert.equal((await receiving).length, 80);
  budget.take(100);
});

test('lengths and the presence of a body are read from the headers', () => {
  const of = (headers: Record<string, string>): IncomingMessage =>
    Object.assign(Object.create(null) as IncomingMessage, { headers, httpVersionMajor: 1 });
  assert.equal(contentLength(of({})), null);
  assert.equal(contentLength(of({ 'content-length': '12' })), 12);
  for (const text of ['', '-1', '+1', '1.5', '1e3', 'x', '9'.repeat(16)]) {
    assert.throws(() => contentLength(of({ 'content-length': text })), /Content-Length/);
  }
  assert.equal(hasBody(of({})), false);
  assert.equal(hasBody(of({ 'content-length': '0' })), false);
  assert.equal(hasBody(of({ 'content-length': '1' })), true);
  assert.equal(hasBody(of({ 'transfer-encoding': 'chunked' })), true);
});
