import { request as requestHttp, Agent as HttpAgent } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as requestHttps, Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';

export interface FetchOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer | string;
  /** Authorities (PEM) to trust instead of those of Node and of the system. */
  readonly ca?: string;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** A longer answer is an error. */
  readonly sizeBytesMax: number;
  readonly signal?: AbortSignal;
}

export interface FetchedAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The other side could not be reached, took too long or sent too much. Holds no header and no body. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

let systemAuthorities: string[] | undefined;

/**
 * One HTTP(S) exchange with bounds in time and size. Redirects are not followed: they come back as they are, so that
 * nothing that was meant for one server reaches another. Proxies of the environment are used, except for this
 * machine itself. Throws `FetchError`.
 */
export function boundedFetch(url: URL, options: FetchOptions): Promise<FetchedAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<FetchedAnswer>();
  const fail = (reason: string, cause?: unknown): void =>
    reject(new FetchError(`${url.origin}: ${reason}`, { cause }));
  const request = open(url, options);
  const timer = setTimeout(() => {
    fail(`no answer within ${options.timeoutMs} ms`);
    request.destroy();
  }, options.timeoutMs);
  const abort = (): void => {
    fail('given up');
    request.destroy();
  };
  options.signal?.addEventListener('abort', abort, { once: true });
  request.on('error', (error) => fail(error.message, error));
  request.on('response', (response) => readAnswer(response, options.sizeBytesMax, resolve, fail));
  request.end(options.body);
  return promise.finally(() => {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
    request.destroy();
  });
}

function open(url: URL, { method = 'GET', headers = {}, ca }: FetchOptions): ClientRequest {
  const proxyEnv = LOOPBACK.test(url.hostname) ? {} : { proxyEnv: process.env };
  if (url.protocol === 'http:') {
    return requestHttp(url, { method, headers, agent: new HttpAgent(proxyEnv) });
  }
  if (url.protocol !== 'https:') throw new FetchError(`${url.protocol} is not a protocol to fetch by`);
  const trusted = ca ?? (systemAuthorities ??= knownAuthorities());
  return requestHttps(url, { method, headers, ca: trusted, agent: new HttpsAgent(proxyEnv) });
}

function knownAuthorities(): string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

function readAnswer(
  response: IncomingMessage,
  sizeBytesMax: number,
  resolve: (answer: FetchedAnswer) => void,
  fail: (reason: string, cause?: unknown) => void,
): void {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  response.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length;
    chunks.push(chunk);
    if (sizeBytes <= sizeBytesMax) return;
    fail(`the answer is longer than ${sizeBytesMax} bytes`);
    response.destroy();
  });
  response.on('error', (error) => fail(error.message, error));
  response.on('close', () => {
    if (!response.complete) fail('the answer was cut off');
  });
  response.on('end', () => {
    const { statusCode: status = 0, headers } = response;
    resolve({ status, headers, body: Buffer.concat(chunks, sizeBytes) });
  });
}
