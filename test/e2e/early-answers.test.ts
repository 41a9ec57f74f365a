/** Answers that come before the client has sent its whole body: it must be able to read them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { serveRegistry, type Served } from './support/served.ts';

const CHUNK = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x1_0000), Buffer.from('\r\n')]);
const CHUNKS = 64;
const TARGET = '/v2/r/blobs/uploads/00000000-0000-4000-8000-000000000000';

let served: Served;
before(async () => (served = await serveRegistry({ storage: { readOnly: true } })));
after(() => served.close());

/** As Go's client: it goes on sending after the server has ended its side. */
async function open(header: string): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect({ port: served.port, host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  await once(socket, 'connect');
  const head = [`PATCH ${TARGET} HTTP/1.1`, 'Host: r', 'Transfer-Encoding: chunked', header];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  return { socket, text: () => text };
}

async function sendSlowly(socket: Socket, chunks: number): Promise<void> {
  for (let at = 0; at < chunks; at += 1) {
    if (!socket.write(CHUNK)) await once(socket, 'drain');
    await pause(2);
  }
}

test('a client that asked for the connection to be closed may send its body to the end', async () => {
  const { socket, text } = await open('Connection: close');
  await sendSlowly(socket, CHUNKS);
  assert.match(text(), /^HTTP\/1\.1 405 [^]*connection: close[^]*read-only/i);
  // Nobody waits for more of it: the connection goes with the end of the body.
  const over = once(socket, 'close');
  socket.end('0\r\n\r\n');
  await over;
});

test('a body without an end is cut off after a while', { timeout: 20_000 }, async () => {
  const { socket, text } = await open('Connection: close');
  const cut = once(socket, 'close').catch((error: NodeJS.ErrnoException) => error.code);
  socket.on('error', () => undefined);
  const sending = setInterval(() => socket.write(CHUNK), 20);
  await cut;
  clearInterval(sending);
  assert.match(text(), /^HTTP\/1\.1 405 /);
});

test('a connection that is kept answers the next request, however many bodies were refused on it', async () => {
  const { socket, text } = await open('Connection: keep-alive');
  const answers = (): number => text().split('HTTP/1.1 405').length - 1;
  for (let round = 1; round <= 20; round += 1) {
    await sendSlowly(socket, 1);
    socket.write('0\r\n\r\n');
    while (answers() < round) await once(socket, 'data');
    if (round < 20) socket.write(`PATCH ${TARGET} HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n`);
  }
  socket.destroy();
});
