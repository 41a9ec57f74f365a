import { connect as connectHttp2, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { request } from 'node:https';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

export interface SecureAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Opens a TLS connection and gives it when the handshake is done; throws when it fails. */
export function shakeHands(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connectTls({ host: '127.0.0.1', port, ...options });
  socket.once('secureConnect', () => resolve(socket));
  socket.once('error', reject);
  return promise;
}

/** One request over HTTP/1.1 and TLS. */
export function requestSecurely(
  port: number,
  ca: Buffer,
  method: string,
  target: string,
): Promise<SecureAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<SecureAnswer>();
  const options = { host: '127.0.0.1', port, ca, method, path: target, agent: false };
  const sent = request(options, (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    response.on('error', reject);
  });
  sent.on('error', reject);
  sent.end();
  return promise;
}

export function openSession(url: string, ca: Buffer): Promise<ClientHttp2Session> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
  const session = connectHttp2(url, { ca });
  session.once('connect', () => resolve(session));
  session.on('error', reject);
  return promise;
}

/** One request over a session of HTTP/2. */
export function requestOn(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Buffer,
): Promise<SecureAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<SecureAnswer>();
  const stream = session.request(headers, { endStream: body === undefined });
  let text = '';
  let received: Readonly<Record<string, unknown>> = {};
  stream.on('response', (answer) => (received = answer));
  stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  stream.on('end', () => resolve({ status: Number(received[':status']), text, headers: received }));
  stream.on('error', reject);
  if (body !== undefined) stream.end(body);
  return promise;
}
