/** Servers that lie: what OpenLDAP does right is in `test/e2e/access/ldap.test.ts`. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, test } from 'node:test';
import { openLdapSocket } from './ldap-socket.ts';

/** ExtendedResponse to the message 1 with a result code (RFC 4511 section 4.12). */
const response = (code: number): Buffer =>
  Buffer.from([0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x00]);
/** BindResponse "success" to the message 2, which nobody has sent yet. */
const FORGED_BIND = Buffer.from([
  0x30, 0x0c, 0x02, 0x01, 0x02, 0x61, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00,
]);

async function refusal(
  serve: (socket: Socket, question: Buffer) => void,
  connectTimeoutMs = 5000,
): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (question: Buffer) => serve(socket, question));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const endpoint = {
    host: '127.0.0.1',
    port,
    security: 'startTls',
    verifies: true,
    authorities: null,
  } as const;
  try {
    const socket = await openLdapSocket({ ...endpoint, connectTimeoutMs });
    socket.destroy();
    return 'opened';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    server.close();
  }
}

describe('StartTLS', { timeout: 30_000 }, () => {
  test('is asked for as RFC 4511 says', async () => {
    const asked = Promise.withResolvers<Buffer>();
    await refusal((socket, question) => {
      asked.resolve(question);
      socket.destroy();
    });
    const oid = Buffer.from('1.3.6.1.4.1.1466.20037');
    const head = Buffer.from([0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16]);
    assert.deepEqual(await asked.promise, Buffer.concat([head, oid]));
  });

  test('that is refused is an error, not a connection in the clear', async () => {
    assert.match(await refusal((socket) => socket.write(response(2))), /refuses StartTLS with code 2/);
  });

  test('does not believe what stands between the answer and the handshake', async () => {
    const injected = (socket: Socket): void => void socket.write(Buffer.concat([response(0), FORGED_BIND]));
    assert.match(await refusal(injected), /something follows/);
    const begun = (socket: Socket): void =>
      void socket.write(Buffer.concat([response(0), FORGED_BIND.subarray(0, 5)]));
    assert.match(await refusal(begun), /something follows/);
  });

  test('is read also when it arrives byte by byte, and then shakes hands', async () => {
    const slowly = (socket: Socket): void => {
      socket.setNoDelay(true);
      for (const byte of response(0)) socket.write(Buffer.from([byte]));
      socket.on('data', () => socket.end(Buffer.from('this is no TLS')));
    };
    assert.match(await refusal(slowly), /SSL|wrong version|EPROTO|closed the connection/i);
  });

  test('ends with servers that are no LDAP servers', async () => {
    assert.match(
      await refusal((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(9))),
      /LDAP|follows|early|DER/,
    );
    assert.match(
      await refusal((socket) =>
        socket.write(Buffer.from([0x30, 0x84, 0x7f, 0, 0, 0, ...Buffer.alloc(5000)])),
      ),
      /too long/,
    );
    assert.match(await refusal((socket) => socket.destroy()), /closed the connection|ECONNRESET/);
    assert.match(await refusal(() => undefined, 200), /no connection within 200 ms/);
  });
});
