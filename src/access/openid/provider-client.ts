import type * as OpenidModule from 'openid-client';
import type { Configuration, CustomFetch } from 'openid-client';
import { FetchError, boundedFetch } from '#lib/bounded-fetch';
import { ProviderError } from './provider.ts';

/** Loaded when somebody signs in. */
export type OpenidClient = typeof OpenidModule;

export function loadClient(): Promise<OpenidClient> {
  return import('openid-client');
}

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;
const NO_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304]);

/** How the library reaches providers: bounded in time and size, redirects not followed. */
export const providerFetch: CustomFetch = async (url, { method, headers, body }) => {
  const answer = await boundedFetch(new URL(url), {
    method,
    headers,
    ...(body === undefined || body === null ? {} : { body: textOf(body) }),
    timeoutMs: TIMEOUT_MS,
    sizeBytesMax: ANSWER_BYTES_MAX,
  });
  const received = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) received.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  const { status } = answer;
  return new Response(NO_BODY.has(status) ? null : new Uint8Array(answer.body), {
    status,
    headers: received,
  });
};

function textOf(body: unknown): string {
  if (typeof body === 'string' || body instanceof URLSearchParams) return String(body);
  throw new TypeError('the body of a request to a provider is no text');
}

/** Settings that every configuration of the library gets. */
export function prepare(client: OpenidClient, configuration: Configuration, issuer: URL): Configuration {
  configuration[client.customFetch] = providerFetch;
  configuration.timeout = TIMEOUT_MS / 1000;
  // Only what the owner wrote with http is reached by it.
  if (issuer.protocol === 'http:') client.allowInsecureRequests(configuration);
  return configuration;
}

/** Turns what the library throws into what is told to the log: a code and a sentence, never a body or an address. */
export function providerError(what: string, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  const chain = [error, causeOf(error), causeOf(causeOf(error))];
  const fetched = chain.find((one) => one instanceof FetchError);
  if (fetched !== undefined) return new ProviderError(`${what}: ${fetched.message}`, true);
  const code = chain.map(codeOf).find((one) => one !== null) ?? 'no code';
  const isUnavailable = code === 'OAUTH_TIMEOUT' || code === 'OAUTH_RESPONSE_IS_NOT_CONFORM';
  return new ProviderError(
    `${what}: ${error instanceof Error ? error.message : 'unknown'} (${code})`,
    isUnavailable,
  );
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : null;
}

function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ('error' in error && typeof error.error === 'string') return error.error.slice(0, 100);
  return 'code' in error && typeof error.code === 'string' ? error.code : null;
}
