import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Refused } from '#access';
import type { Logger } from '#lib/logger';
import type { RawResponse } from './body.ts';
import { peerAddressOf } from './client-address.ts';
import type { TrustedProxies } from './client-address.ts';

/** Request headers that a log may show; the others may hold secrets or are noise. */
const SHOWN_HEADERS: readonly string[] = [
  'accept',
  'content-length',
  'content-range',
  'content-type',
  'range',
  'user-agent',
];

/** Query parameters whose values are secrets (sign-in codes, signed links). */
const SECRET_QUERY =
  /([?&](?:[a-z_-]*(?:code|state|token|password|secret|assertion|apikey)|sig|signature|x-amz-[a-z-]+)=)[^&]*/gi;

const URL_CHARS_MAX = 2048;
const HEADER_CHARS_MAX = 512;
export const NAME_CHARS_MAX = 256;
/** Control characters beyond those that JSON escapes, line ends of Unicode, and what turns the direction of a text. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const UNSAFE_ALL = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Body bytes of answers that are written past the framework. */
const sentBytes = new WeakMap<RawResponse, number>();

/** Notes how many bytes of a body have been sent so far. */
export function noteSentBytes(response: RawResponse, bodyBytes: number): void {
  sentBytes.set(response, bodyBytes);
}

/** What the log line of a request needs beside the request and its answer. */
export interface RequestCourse {
  /** Kept from the start: a connection that is gone at the end has no address any more. */
  readonly clientIP: string;
  /** The proxy in between, where its word on the client was believed. */
  readonly proxyIP: string | null;
  /** The address of the client, without port; '' on a Unix socket. */
  readonly clientAddress: string;
  readonly startedMs: number;
  /** The answer was taken, or the client has left. */
  isClosed: boolean;
  /** The credentials that were offered and are wrong. */
  refused: Pick<Refused, 'username' | 'reason'> | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before anything else happens to a request. */
    course: RequestCourse;
  }
}

export function beginCourse(request: FastifyRequest, proxies: TrustedProxies): RequestCourse {
  const { raw } = request;
  const peer = addressOf(raw.socket);
  const clientAddress = proxies.clientOf(raw);
  const isDirect = clientAddress === peerAddressOf(raw);
  return {
    clientIP: isDirect ? peer : clientAddress,
    proxyIP: isDirect ? null : peer,
    clientAddress,
    startedMs: performance.now(),
    isClosed: false,
    refused: null,
  };
}

/** Writes zot's access log line of a request that is over: answered, or given up by its client. */
export function logRequest(logger: Logger, request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = request;
  logger.info(
    {
      module: 'http',
      component: 'session',
      clientIP: request.course.clientIP,
      ...(request.course.proxyIP === null ? {} : { proxyIP: request.course.proxyIP }),
      method: raw.method,
      path: shownUrl(request.originalUrl),
      statusCode: reply.raw.headersSent ? reply.raw.statusCode : reply.statusCode,
      latency: goDuration(performance.now() - request.course.startedMs),
      bodySize: bodyBytesOf(reply, raw.method),
      headers: shownHeaders(raw.headers),
      requestId: request.id,
      ...usernameOf(request),
    },
    'HTTP API',
  );
}

/** The URL with the values of secret parameters masked, as logs may show it. */
export function shownUrl(url: string): string {
  return shownText(url.includes('?') ? url.replace(SECRET_QUERY, '$1******') : url, URL_CHARS_MAX);
}

/** A text of a client, bounded: what JSON leaves as it is and a terminal obeys is written in words. */
export function shownText(text: string, charsMax: number): string {
  const bounded = text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
  return UNSAFE.test(bounded) ? bounded.replace(UNSAFE_ALL, inWords) : bounded;
}

function inWords(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** zot leaves the name out when there is none. */
function usernameOf(request: FastifyRequest): { username?: string } {
  const username = request.caller?.identity.username ?? '';
  return username === '' ? {} : { username: shownText(username, NAME_CHARS_MAX) };
}

function bodyBytesOf(reply: FastifyReply, method: string | undefined): number {
  const noted = sentBytes.get(reply.raw);
  if (noted !== undefined) return noted;
  return method === 'HEAD' ? 0 : Number(reply.getHeader('content-length') ?? 0);
}

/** Address and port of the peer, as zot writes them. */
export function addressOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return 'unix';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

function shownHeaders(headers: FastifyRequest['raw']['headers']): Record<string, string[]> {
  const shown: Record<string, string[]> = {};
  for (const name of SHOWN_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') shown[name] = [shownText(value, HEADER_CHARS_MAX)];
  }
  if (headers.authorization !== undefined) shown.authorization = ['******'];
  return shown;
}

/** Milliseconds as a Go duration, which zot's log has here: `1.234ms`, `2.5s`. */
function goDuration(elapsedMs: number): string {
  if (elapsedMs < 1000) return `${Math.round(elapsedMs * 1000) / 1000}ms`;
  return `${Math.round(elapsedMs) / 1000}s`;
}
