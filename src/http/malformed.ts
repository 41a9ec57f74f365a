/** Requests that HTTP itself does not understand: they reach no route, and are answered on the bare connection. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { STATUS_CODES } from 'node:http';
import { RegistryError } from '#oci/errors';
import type { Logger } from '#lib/logger';
import { addressOf } from './access-log.ts';
import type { RawRequest } from './body.ts';
import { problemBody, problemOf } from './problem.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

/** How long the rest of what the client sends is drained, so that it sees the answer. */
const LINGER_MS = 1000;

interface Refusal {
  readonly status: number;
  readonly message: string;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: { status: 431, message: 'the headers are too large' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, message: 'the chunk extensions are too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'the headers did not arrive in time' },
};
const MALFORMED: Refusal = { status: 400, message: 'the request is not well-formed HTTP' };

/** Answers with the error list of every other refusal, notes it in the log, and ends the connection. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket, logger: Logger): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const { status, message } = REFUSALS[error.code ?? ''] ?? MALFORMED;
  const clientIP = addressOf(socket);
  logger.info({ module: 'http', clientIP, statusCode: status, reason: error.code }, `refused: ${message}`);
  if (!socket.writable || hasBegunAnswer(socket)) return void socket.destroy(error);
  socket.end(answerText(status, message, isHead(error)));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * Whether a request names several hosts: Node keeps the first, a proxy before us may have gone by another
 * (RFC 9112 section 3.2: to be refused).
 */
export function namesSeveralHosts({ rawHeaders }: RawRequest): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts > 1;
}

/** An answer that is half sent must not be mixed with another. Node keeps the one under way at this name. */
function hasBegunAnswer(socket: Socket): boolean {
  const { _httpMessage } = socket as { _httpMessage?: ServerResponse | null };
  return _httpMessage?.headersSent === true;
}

/** The parser hands over the bytes that it choked on; an answer to HEAD must have no body. */
function isHead(error: NodeJS.ErrnoException & { readonly rawPacket?: Buffer }): boolean {
  return error.rawPacket?.subarray(0, 5).toString('latin1') === 'HEAD ';
}

function answerText(status: number, message: string, isWithoutBody: boolean): string {
  const code = status === 408 ? 'REQUEST_TIMEOUT' : 'REQUEST_INVALID';
  const body = problemBody(problemOf(new RegistryError(code, { status, message })));
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(SECURITY_HEADERS).map(([name, value]) => `${name}: ${value}`),
    'Connection: close',
    '',
    isWithoutBody ? '' : body,
  ].join('\r\n');
}
