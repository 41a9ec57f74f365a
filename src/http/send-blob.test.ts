import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { FileReader } from '#registry';
import { ShortContent, sendPart } from './send-blob.ts';

const size = 3 * 1024 * 1024 + 17;
const content = Buffer.from(Array.from({ length: size }, (_, at) => (at * 7 + (at >> 10)) & 255));

/** A file in memory that counts what is read of it, and may end early. */
function readerOf(bytes: Buffer, sizeBytes = bytes.length): FileReader & { readBytes: number } {
  return {
    sizeBytes,
    modifiedMs: 0,
    readBytes: 0,
    async read(buffer, position) {
      const filled = bytes.copy(buffer, 0, position);
      this.readBytes += filled;
      return filled;
    },
    close: async () => undefined,
  };
}

let server: Server;
let handle: (response: ServerResponse) => Promise<void>;
before(async () => {
  server = createServer((_request, response) => void handle(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => server.close());

function ask(): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({ port, host: '127.0.0.1', agent: false }, resolve);
  sent.on('error', reject);
  sent.end();
  return promise;
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test('a part is sent exactly, and nothing beside it is read', async () => {
  const parts = [
    { first: 0, last: size - 1 },
    { first: 0, last: 0 },
    { first: 1_048_575, last: 1_048_577 },
    { first: 5, last: 2_500_000 },
    { first: size - 1, last: size - 1 },
  ];
  for (const part of parts) {
    const reader = readerOf(content);
    let sent = 0;
    handle = async (response) => {
      sent = await sendPart(reader, part, response);
      response.end();
    };
    const body = await bodyOf(await ask());
    assert.ok(body.equals(content.subarray(part.first, part.last + 1)));
    assert.equal(sent, body.length);
    assert.equal(reader.readBytes, body.length);
  }
});

test('many at once do not mix their buffers', async () => {
  handle = async (response) => {
    await sendPart(readerOf(content), { first: 0, last: size - 1 }, response);
    response.end();
  };
  const bodies = await Promise.all(Array.from({ length: 20 }, async () => bodyOf(await ask())));
  assert.ok(bodies.every((body) => body.equals(content)));
});

test('a file that ends early is a fault, not a shorter answer', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  handle = async (response) => {
    response.writeHead(200, { 'content-length': size });
    const short = readerOf(content.subarray(0, size - 100), size);
    await sendPart(short, { first: 0, last: size - 1 }, response).catch(resolve);
    response.destroy();
  };
  await assert.rejects(async () => bodyOf(await ask()));
  assert.ok((await promise) instanceof ShortContent);
});

test('a client that leaves ends the reading', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const reader = readerOf(Buffer.alloc(64 * 1024 * 1024));
  handle = async (response) =>
    resolve(await sendPart(reader, { first: 0, last: reader.sizeBytes - 1 }, response));
  const response = await ask();
  response.destroy();
  assert.ok((await promise) < reader.sizeBytes);
  assert.ok(reader.readBytes < reader.sizeBytes);
});
