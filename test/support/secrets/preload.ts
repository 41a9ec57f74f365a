/**
 * Loaded before every test of a run that searches for secrets: listens to all that the test's own HTTP clients send,
 * whichever they are, so that no test has to remember to note a secret.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { keepAnswerHead, noteRequest } from './noted.ts';
import { isTracing } from './traces.ts';

interface FetchRequest {
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
}

interface FetchResponse {
  readonly statusCode: number;
  readonly headers: readonly Buffer[];
}

if (isTracing) {
  subscribe('http.client.request.start', (message) => {
    const { request } = message as { readonly request: ClientRequest };
    noteRequest(request.path, (name) => request.getHeader(name));
  });
  subscribe('http.client.response.finish', (message) => {
    const { response } = message as { readonly response: IncomingMessage };
    keepAnswerHead(response.statusCode ?? 0, response.rawHeaders);
  });
  subscribe('undici:request:create', (message) => {
    const { path, headers } = (message as { readonly request: FetchRequest }).request;
    noteRequest(path, (name) =>
      headers.filter((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === name),
    );
  });
  subscribe('undici:request:headers', (message) => {
    const { statusCode, headers } = (message as { readonly response: FetchResponse }).response;
    keepAnswerHead(statusCode, headers.map(String));
  });
}
