/**
 * Opens a connection to a directory and makes it safe, before the LDAP client gets to see it. The client would
 * connect again by itself, in the clear where it had been told to use StartTLS, and would believe answers that stood
 * in front of the handshake.
 */
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { derElements } from '../der.ts';

export interface LdapEndpoint {
  readonly host: string;
  readonly port: number;
  readonly security: 'none' | 'tls' | 'startTls';
  /** Verify the certificate of the server, and that it is for `host`. */
  readonly verifies: boolean;
  /** PEM; `null`: those that Node and the system trust. */
  readonly authorities: readonly string[] | null;
  readonly connectTimeoutMs: number;
}

/** ExtendedRequest of StartTLS with the message id 1 (RFC 4511 section 4.14). */
const START_TLS = Buffer.from([
  0x30,
  0x1d,
  0x02,
  0x01,
  0x01,
  0x77,
  0x18,
  0x80,
  0x16,
  ...Buffer.from('1.3.6.1.4.1.1466.20037'),
]);
const EXTENDED_RESPONSE = 0x78;
const ENUMERATED = 0x0a;
const RESPONSE_BYTES_MAX = 4096;

/** A socket that is ready for LDAP messages. Throws when there is none within the time limit. */
export async function openLdapSocket(endpoint: LdapEndpoint): Promise<Socket> {
  const plain = connect({ host: endpoint.host, port: endpoint.port, noDelay: true, keepAlive: true });
  const timer = setTimeout(
    () => plain.destroy(new Error(`no connection within ${endpoint.connectTimeoutMs} ms`)),
    endpoint.connectTimeoutMs,
  );
  try {
    await once(plain, 'connect');
    if (endpoint.security === 'none') return plain;
    if (endpoint.security === 'startTls') await askForTls(plain);
    const secure = connectTls({ socket: plain, ...tlsOptions(endpoint) });
    await once(secure, 'secureConnect', plain);
    return secure;
  } catch (error) {
    plain.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function tlsOptions({ host, verifies, authorities }: LdapEndpoint): ConnectionOptions {
  return {
    host,
    // Names only: the extension has no place for addresses. The certificate is compared with `host` in both cases.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: verifies,
    minVersion: 'TLSv1.2',
    ...(authorities === null ? {} : { ca: [...authorities] }),
  };
}

/** Settles with an event; rejects with the error of this or of the socket below, or when either closes. */
function once(socket: Socket, event: 'connect' | 'secureConnect', below: Socket = socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const sockets = new Set([socket, below]);
    const end = (how: () => void): void => {
      for (const each of sockets) each.off('error', fail).off('close', closed);
      socket.off(event, done);
      how();
    };
    const fail = (error: Error): void => end(() => reject(error));
    const closed = (): void => fail(new Error('the directory closed the connection'));
    const done = (): void => end(resolve);
    for (const each of sockets) each.on('error', fail).on('close', closed);
    socket.once(event, done);
  });
}

/** Asks for TLS and reads the answer: exactly one message, since whatever follows it before the handshake is forged. */
async function askForTls(socket: Socket): Promise<void> {
  socket.write(START_TLS);
  const answer = await readMessage(socket);
  const [id, response] = derElements(answer);
  const [code] = response?.tag === EXTENDED_RESPONSE ? derElements(response.content) : [];
  if (id?.content[0] !== 1 || code?.tag !== ENUMERATED) throw new Error('the directory does not speak LDAP');
  if (code.content[0] !== 0)
    throw new Error(`the directory refuses StartTLS with code ${code.content[0] ?? '?'}`);
}

/** The content of the next message. */
function readMessage(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const end = (how: () => void): void => {
      socket.pause();
      socket.off('data', onData).off('error', fail).off('close', closed);
      how();
    };
    const fail = (error: Error): void => end(() => reject(error));
    const closed = (): void => fail(new Error('the directory closed the connection'));
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      if (received.length > RESPONSE_BYTES_MAX) fail(new Error('the answer to StartTLS is too long'));
      const message = completeMessage(received);
      if (message === null) return;
      if (message.whole.length < received.length) fail(new Error('something follows the answer to StartTLS'));
      else end(() => resolve(message.content));
    };
    socket.on('data', onData).on('error', fail).on('close', closed);
  });
}

function completeMessage(received: Buffer): ReturnType<typeof derElements>[number] | null {
  const length = messageLength(received);
  if (length === null || received.length < length) return null;
  return derElements(received.subarray(0, length))[0] ?? null;
}

/** How many bytes a message has in all; `null` while that has not arrived. */
function messageLength(received: Buffer): number | null {
  const [, first] = received;
  if (first === undefined) return null;
  if (first < 0x80) return first + 2;
  const count = first & 0x7f;
  if (count === 0 || count > 4) throw new Error('the directory does not speak LDAP');
  return received.length < 2 + count ? null : received.readUIntBE(2, count) + 2 + count;
}
