/**
 * The server of Node below the framework: plain HTTP/1.1, or TLS with HTTP/2 and HTTP/1.1, with limits of time and
 * size for clients that are slow, silent or greedy. Limits are on progress; a whole transfer may take as long as it
 * likes.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { constants, createSecureServer } from 'node:http2';
import type { Http2SecureServer, Http2ServerRequest } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { expectContinue } from './body.ts';
import type { RawRequest, RawResponse } from './body.ts';
import type { TlsFiles } from './tls.ts';

export interface NodeServerOptions {
  /** Absent: plain HTTP. */
  readonly tls: TlsFiles | null;
  /** An answer that the client does not take for this long ends the connection; 0: never. */
  readonly idleMs: number;
}

const HEADER_BYTES_MAX = 64 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 120_000;
const CONNECTIONS_MAX = 20_000;
/** Requests of one connection that may wait behind the one at work; no client of today sends any. */
const WAITING_MAX = 256;
/** HTTP/2 windows: Node's 64 KiB hold an upload to one window a round trip. */
const H2_STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
const H2_SESSION_WINDOW_BYTES = 16 * 1024 * 1024;

const HTTP1: ServerOptions = {
  maxHeaderSize: HEADER_BYTES_MAX,
  headersTimeout: HEADERS_TIMEOUT_MS,
  // The whole request may take as long as it makes progress: see `body.ts`.
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: 2000,
  noDelay: true,
};

/** What the framework hands over to be called for each request. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that calls `handler` for each request; to be listened on and closed by the caller. */
export function createNodeServer(options: NodeServerOptions, handler: RequestHandler): Server {
  const server = options.tls === null ? createServer(HTTP1) : secureServer(options, options.tls);
  server.maxConnections = CONNECTIONS_MAX;
  server.setTimeout(options.idleMs);
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    watchSilence(request, response, options.idleMs);
    if (response.socket === null) inTurn(request, response, handler);
    else handler(request, response);
  };
  server.on('request', answer);
  // The client is asked for its body only when a handler wants it.
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    expectContinue(request);
    answer(request, response);
  });
  // An expectation nobody knows is no reason to refuse (RFC 9110 section 10.1.1 lets a server choose).
  server.on('checkExpectation', answer);
  return server;
}

function secureServer(options: NodeServerOptions, tls: TlsFiles): Server {
  const server = createSecureServer({
    ...tls.current(),
    ...HTTP1,
    allowHTTP1: true,
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxSessionMemory: 64,
    requestCert: tls.clientCertificates !== 'none',
    rejectUnauthorized: tls.clientCertificates === 'required',
    settings: {
      initialWindowSize: H2_STREAM_WINDOW_BYTES,
      maxConcurrentStreams: 250,
      maxHeaderListSize: HEADER_BYTES_MAX,
    },
  });
  // The options of HTTP/1.1 are taken by the plain server only; without these lines an upload ends after 5 minutes.
  const { headersTimeout, requestTimeout, keepAliveTimeout } = HTTP1;
  Object.assign(server, { headersTimeout, requestTimeout, keepAliveTimeout });
  server.on('session', (session) => {
    session.setLocalWindowSize(H2_SESSION_WINDOW_BYTES);
    session.setTimeout(options.idleMs + KEEP_ALIVE_MS, () => session.close());
  });
  tls.onChange((context) => server.setSecureContext(context));
  if (tls.clientCertificates === 'optional') server.prependListener('secureConnection', refuseBadCertificate);
  return withCloseAll(server);
}

/** No certificate is nobody's; one that does not verify is an attempt, as in zot, and not to be taken for nobody. */
function refuseBadCertificate(socket: TLSSocket): void {
  if (!socket.authorized && socket.getPeerX509Certificate() !== undefined) socket.destroy();
}

/** The secure server of HTTP/2 lacks the method by which a stop cuts off what does not end. */
function withCloseAll(server: Http2SecureServer): Server {
  const sockets = new Set<Socket>();
  server.on('secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const closeAllConnections = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  // With HTTP/1.1 allowed and this method its interface is a superset of what the framework needs.
  return Object.assign(server, { closeAllConnections }) as unknown as Server;
}

/** Requests that wait behind an answer: for each connection, how many. */
const waiting = new WeakMap<Socket, number>();

/**
 * A request that was sent before the answer to the one in front of it was: it has no socket yet (HTTP/1.1 pipelining).
 * Its answer has to wait anyway, and its work does too: a thousand requests fit into one packet, and a client that
 * reads none of their answers would make us hold them all. `socket` comes when its turn does, and never when the
 * client leaves before.
 */
function inTurn(request: IncomingMessage, response: ServerResponse, handler: RequestHandler): void {
  const { socket } = request;
  const count = (waiting.get(socket) ?? 0) + 1;
  waiting.set(socket, count);
  if (count > WAITING_MAX) return void socket.destroy();
  response.once('socket', () => {
    waiting.set(socket, (waiting.get(socket) ?? 1) - 1);
    handler(request, response);
  });
}

/** Cuts off a client that does not take its answer. */
function watchSilence(request: RawRequest, response: RawResponse, idleMs: number): void {
  if (idleMs <= 0) return;
  if (isHttp2(request)) request.stream.setTimeout(idleMs);
  response.on('timeout', cutOffUnread);
}

/**
 * Nothing moved on a connection for a while. Before the answer has begun that is the business of whoever reads the
 * body, or we are at work ourselves; after that the client does not read.
 */
function cutOffUnread(this: RawResponse): void {
  if (!this.headersSent) return;
  if ('stream' in this) this.stream.close(constants.NGHTTP2_CANCEL);
  else this.destroy();
}

function isHttp2(request: RawRequest): request is Http2ServerRequest {
  return request.httpVersionMajor === 2;
}
