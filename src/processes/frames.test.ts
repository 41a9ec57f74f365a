import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import fc from 'fast-check';
import { readFrames, writeFrame } from './frames.ts';

let server: Server;
before(async () => {
  server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => server.close());

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = await accepted;
  return { near, far };
}

/** Reads frames from pieces of bytes as a socket would bring them. */
function framesOf(pieces: readonly Buffer[]): unknown[] {
  const stream = new PassThrough();
  const messages: unknown[] = [];
  // Of a socket only its events are used here.
  readFrames(stream as unknown as Socket, (message) => messages.push(message));
  for (const piece of pieces) stream.emit('data', piece);
  return messages;
}

function bytesOf(messages: readonly unknown[]): Buffer {
  const frames = messages.map((message) => {
    const payload = serialize(message);
    const header = Buffer.alloc(4);
    header.writeUInt32LE(payload.length);
    return Buffer.concat([header, payload]);
  });
  return Buffer.concat(frames);
}

test('messages arrive whole and in order, however the bytes are cut', () => {
  const messages = fc.array(fc.oneof(fc.string(), fc.jsonValue(), fc.uint8Array()), { maxLength: 8 });
  fc.assert(
    fc.property(
      messages,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
      (list, cuts) => {
        const bytes = bytesOf(list);
        const pieces: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const length = cuts[turn % cuts.length] ?? 1;
          pieces.push(bytes.subarray(at, at + length));
          at += length;
        }
        assert.deepEqual(framesOf(pieces), deserialize(serialize(list)));
      },
    ),
  );
});

test('a socket carries them, large ones and many at once', async () => {
  const { near, far } = await pair();
  const large = { bytes: Buffer.alloc(5_000_000, 1) };
  const { promise, resolve } = Promise.withResolvers<number[]>();
  const sizes: number[] = [];
  readFrames(far, (message) => {
    sizes.push((message as { bytes: Buffer }).bytes.length);
    if (sizes.length === 201) resolve(sizes);
  });
  for (let at = 0; at < 100; at += 1) writeFrame(near, { bytes: Buffer.alloc(at) });
  writeFrame(near, large);
  for (let at = 0; at < 100; at += 1) writeFrame(near, { bytes: Buffer.alloc(at) });
  const expected = Array.from({ length: 100 }, (_, at) => at);
  assert.deepEqual(await promise, [...expected, 5_000_000, ...expected]);
  near.destroy();
});

test('a frame that is too long ends the connection', async () => {
  const { near, far } = await pair();
  readFrames(far, () => assert.fail('there is no message'));
  far.on('error', () => undefined);
  near.on('error', () => undefined);
  near.write(Buffer.from([0xff, 0xff, 0xff, 0x7f]));
  await new Promise((resolve) => far.once('close', resolve));
  near.destroy();
});
