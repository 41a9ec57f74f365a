import type { FastifyReply } from 'fastify';
import type { Route } from './routes.ts';
import { ROUTES } from './routes.ts';

const ALLOWED_HEADERS = 'Authorization,content-type,X-ZOT-API-CLIENT';
const EXPOSED_HEADERS = [
  'Docker-Content-Digest',
  'Content-Range',
  'Link',
  'Location',
  'OCI-Filters-Applied',
  'OCI-Subject',
  'OCI-Tag',
  'Range',
  'WWW-Authenticate',
  'X-Request-Id',
].join(',');

/** The headers that let scripts of other origins read the answers (`http.allowOrigin`), the same on every route. */
export interface CorsHeaders {
  /** On every answer. */
  readonly always: Readonly<Record<string, string>>;
  /** On answers to requests that name their origin, as browsers do. */
  readonly toBrowsers: Readonly<Record<string, string>>;
}

export function corsHeaders(allowOrigin: string): CorsHeaders {
  const origin = allowOrigin === '' ? '*' : allowOrigin;
  return {
    always: { 'access-control-allow-origin': origin, ...(origin === '*' ? {} : { vary: 'Origin' }) },
    toBrowsers: { 'access-control-expose-headers': EXPOSED_HEADERS },
  };
}

/** Answers the question of a browser before a request of another origin: never needs credentials. */
export function answerPreflight(reply: FastifyReply, methods: readonly string[]): FastifyReply {
  return reply
    .code(204)
    .headers({
      'access-control-allow-methods': [...methods, 'OPTIONS'].join(','),
      'access-control-allow-headers': ALLOWED_HEADERS,
    })
    .send();
}

/** The methods of each route's URL. */
export function methodsByUrl(routes: readonly Route[] = ROUTES): ReadonlyMap<string, string[]> {
  const methods = new Map<string, string[]>();
  for (const { url, method } of routes) methods.set(url, [...(methods.get(url) ?? []), method]);
  return methods;
}
