/**
 * Hands requests for tokens on to another token server, whose tokens we accept. What goes there is what the client
 * sent for it: credentials go to this one address and nowhere else, since redirects are not followed.
 */
import type { Config } from '#config';
import { FetchError, boundedFetch } from '#lib/bounded-fetch';
import { RegistryError } from '#oci/errors';
import type { TokenAnswer, TokenAsk } from '../contract.ts';

type UpstreamConfig = NonNullable<NonNullable<Config['http']['auth']['bearer']>['upstreamTokenEndpoint']>;

const TIMEOUT_MS = 15_000;
const ANSWER_BYTES_MAX = 256 * 1024;

/** What a token server may need of a request; everything else, cookies above all, stays here. */
const SENT: readonly string[] = ['accept', 'accept-language', 'authorization', 'user-agent', 'x-request-id'];
/** What a client may need of an answer. */
const RELAYED: readonly string[] = [
  'content-type',
  'www-authenticate',
  'retry-after',
  'docker-distribution-api-version',
];

export async function askUpstream(config: UpstreamConfig, { request, form }: TokenAsk): Promise<TokenAnswer> {
  const url = new URL(config.realm);
  const question = request.url.indexOf('?');
  const query = new URLSearchParams(question === -1 ? '' : request.url.slice(question));
  for (const name of new Set(query.keys())) {
    url.searchParams.delete(name);
    for (const value of query.getAll(name)) url.searchParams.append(name, value);
  }
  url.searchParams.set('service', config.service);
  const body = form === null ? undefined : forUpstream(form, config.service);
  const headers = { ...sentHeaders(request.headers), ...formHeaders(body) };
  const { method } = request;
  try {
    const answer = await boundedFetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      timeoutMs: TIMEOUT_MS,
      sizeBytesMax: ANSWER_BYTES_MAX,
    });
    if (answer.status >= 300 && answer.status < 400)
      throw new FetchError('the token server answered with a redirect');
    return { status: answer.status, headers: relayedHeaders(answer.headers), body: answer.body };
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    const message = 'failed to proxy token request';
    throw new RegistryError('UNAVAILABLE', {
      status: 502,
      message,
      detail: { reason: message },
      cause: error,
    });
  }
}

function forUpstream(form: URLSearchParams, service: string): string {
  const sent = new URLSearchParams(form);
  sent.set('service', service);
  return sent.toString();
}

function formHeaders(body: string | undefined): Record<string, string> {
  if (body === undefined) return {};
  return {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
  };
}

function sentHeaders(headers: TokenAsk['request']['headers']): Record<string, string> {
  const sent = SENT.flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(sent);
}

function relayedHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | string[]> {
  const relayed = RELAYED.flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(relayed);
}
