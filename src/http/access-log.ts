import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#lib/logger';

/** Request headers that a log may show; the others may hold secrets or are noise. */
const SHOWN_HEADERS: readonly string[] = ['accept', 'content-length', 'content-range', 'content-type', 'range', 'user-agent'];

/** Query parameters whose values are secrets (sign-in codes, signed links). */
const SECRET_QUERY = /([?&](?:code|state|token|access_token|password|secret|sig|signature|x-amz-[a-z-]+)=)[^&]*/gi;

/** Writes zot's access log line of a finished request. */
export function logRequest(logger: Logger, request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = request;
  logger.info(
    {
      module: 'http',
      component: 'session',
      clientIP: clientAddress(request),
      method: raw.method,
      path: maskedUrl(request.originalUrl),
      statusCode: reply.raw.statusCode,
      latency: goDuration(reply.elapsedTime),
      bodySize: Number(reply.getHeader('content-length') ?? 0),
      headers: shownHeaders(raw.headers),
      requestId: request.id,
    },
    'HTTP API',
  );
}

/** The URL with the values of secret parameters masked. */
export function maskedUrl(url: string): string {
  return url.includes('?') ? url.replace(SECRET_QUERY, '$1******') : url;
}

function clientAddress(request: FastifyRequest): string {
  const { remoteAddress, remotePort } = request.raw.socket;
  if (remoteAddress === undefined) return 'unix';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

function shownHeaders(headers: FastifyRequest['raw']['headers']): Record<string, string[]> {
  const shown: Record<string, string[]> = {};
  for (const name of SHOWN_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') shown[name] = [value];
  }
  if (headers.authorization !== undefined) shown.authorization = ['******'];
  return shown;
}

/** Milliseconds as a Go duration, which zot's log has here: `1.234ms`, `2.5s`. */
function goDuration(elapsedMs: number): string {
  if (elapsedMs < 1000) return `${Math.round(elapsedMs * 1000) / 1000}ms`;
  return `${Math.round(elapsedMs) / 1000}s`;
}
