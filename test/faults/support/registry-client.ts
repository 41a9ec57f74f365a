import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface RequestOptions {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer;
}

/** There was no whole answer: the connection failed or ended early, or nothing came in time. */
export class NoAnswer extends Error {}

const ANSWER_TIMEOUT_MS = 15_000;

/** A plain HTTP client: every answer is given as it came; an answer that is cut off is none. */
export class RegistryClient {
  readonly url: string;
  #agent: Agent;
  #timeoutMs: number;

  /** `keepAlive: false`: a connection for each request, so that the kernel spreads them over the processes. */
  constructor(url: string, options: { readonly keepAlive?: boolean; readonly timeoutMs?: number } = {}) {
    this.url = url;
    this.#agent = new Agent({ keepAlive: options.keepAlive ?? true });
    this.#timeoutMs = options.timeoutMs ?? ANSWER_TIMEOUT_MS;
  }

  /** `path` may be a whole URL, as in Location. Throws `NoAnswer`. */
  send(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const { body } = options;
    const length = body === undefined ? {} : { 'content-length': body.length };
    const sent = request(new URL(path, this.url), {
      method,
      agent: this.#agent,
      headers: { ...length, ...options.headers },
    });
    const failed = (error: Error): void => {
      clearTimeout(timer);
      reject(new NoAnswer(`${method} ${path}: ${error.message}`, { cause: error }));
    };
    const timer = setTimeout(() => sent.destroy(new Error('no answer in time')), this.#timeoutMs);
    sent.on('error', failed);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', failed);
      response.on('close', () => {
        clearTimeout(timer);
        if (!response.complete) return failed(new Error('the answer was cut off'));
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
        });
      });
    });
    sent.end(body);
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}
