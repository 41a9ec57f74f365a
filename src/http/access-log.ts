import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Refused } from '#access';
import { writeInfo } from '#lib/logger';
import type { Logger } from '#lib/logger';
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
  /** Bytes of the body so far, of an answer that is written past the framework; `null`: of any other. */
  sentBytes: number | null;
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
    sentBytes: null,
    refused: null,
  };
}

/** Writes zot's access log line of a request that is over: answered, or given up by its client. */
export function logRequest(logger: Logger, request: FastifyRequest, reply: FastifyReply): void {
  const { raw, course } = request;
  const { clientIP, proxyIP, startedMs } = course;
  const statusCode = reply.raw.headersSent ? reply.raw.statusCode : reply.statusCode;
  writeInfo(logger, 'HTTP API', [
    `,"module":"http","component":"session","clientIP":`,
    quoted(clientIP, NAME_CHARS_MAX),
    proxyIP === null ? '' : `,"proxyIP":${quoted(proxyIP, NAME_CHARS_MAX)}`,
    `,"method":`,
    quoted(raw.method ?? '', NAME_CHARS_MAX),
    `,"path":`,
    quoted(withoutSecrets(request.originalUrl), URL_CHARS_MAX),
    `,"statusCode":${statusCode},"latency":"${goDuration(performance.now() - startedMs)}"`,
    `,"bodySize":${bodyBytesOf(request, reply)},"headers":`,
    shownHeaders(raw.headers),
    `,"requestId":`,
    quoted(request.id, NAME_CHARS_MAX),
    usernameOf(request),
  ]);
}

/** The URL with the values of secret parameters masked, as logs may show it. */
export function shownUrl(url: string): string {
  return shownText(withoutSecrets(url), URL_CHARS_MAX);
}

function withoutSecrets(url: string): string {
  return url.includes('?') ? url.replace(SECRET_QUERY, '$1******') : url;
}

/** A text of a client, bounded: what JSON leaves as it is and a terminal obeys is written in words. */
export function shownText(text: string, charsMax: number): string {
  const bounded = text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
  return UNSAFE.test(bounded) ? bounded.replace(UNSAFE_ALL, inWords) : bounded;
}

/** What stands in JSON as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** A shown text as JSON. */
function quoted(text: string, charsMax: number): string {
  return text.length <= charsMax && PLAIN.test(text)
    ? `"${text}"`
    : JSON.stringify(shownText(text, charsMax));
}

function inWords(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** zot leaves the name out when there is none. */
function usernameOf(request: FastifyRequest): string {
  const username = request.caller?.identity.username ?? '';
  return username === '' ? '' : `,"username":${quoted(username, NAME_CHARS_MAX)}`;
}

function bodyBytesOf(request: FastifyRequest, reply: FastifyReply): number {
  const { sentBytes } = request.course;
  if (sentBytes !== null) return sentBytes;
  return request.raw.method === 'HEAD' ? 0 : Number(reply.getHeader('content-length') ?? 0);
}

/** Address and port of the peer, as zot writes them. */
export function addressOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return 'unix';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

function shownHeaders(headers: FastifyRequest['raw']['headers']): string {
  let members = '';
  for (const name of SHOWN_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') members += `,"${name}":[${quoted(value, HEADER_CHARS_MAX)}]`;
  }
  if (headers.authorization !== undefined) members += ',"authorization":["******"]';
  return `{${members.slice(1)}}`;
}

/** Milliseconds as a Go duration, which zot's log has here: `1.234ms`, `2.5s`. */
function goDuration(elapsedMs: number): string {
  if (elapsedMs < 1000) return `${Math.round(elapsedMs * 1000) / 1000}ms`;
  return `${Math.round(elapsedMs) / 1000}s`;
}
