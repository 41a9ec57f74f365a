import { request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { keepOutput } from '../../support/secrets/traces.ts';

export interface Call {
  readonly method: string;
  /** Path and query, sent as they are. */
  readonly target: string;
  readonly headers?: OutgoingHttpHeaders;
  /** A list is sent in chunked transfer encoding, piece by piece. */
  readonly body?: Buffer | string | readonly (Buffer | string)[];
  readonly socketPath?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Headers as they came, names and values in turn: repeated ones stay apart. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** The body as text. */
  readonly text: string;
}

const ANSWER_TIMEOUT_MS = 20_000;

/** Sends one request on a connection of its own and gives the whole answer. */
export function sendRequest(port: number, call: Call): Promise<Answer> {
  const { method, target, headers = {}, body, socketPath } = call;
  const place = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request({ ...place, method, path: target, headers, agent: false }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      const { statusCode: status = 0, headers: received, rawHeaders } = response;
      const whole = Buffer.concat(chunks);
      // No error says a secret; other answers are where some are given out.
      if (status >= 400) keepOutput(`${whole.toString('utf8')}\n`);
      resolve({ status, headers: received, rawHeaders, body: whole, text: whole.toString('utf8') });
      // What the server does not want to read need not be sent.
      if (!sent.writableFinished) sent.destroy();
    });
  });
  sent.setTimeout(ANSWER_TIMEOUT_MS, () => sent.destroy(new Error(`no answer to ${method} ${target}`)));
  sent.on('error', reject);
  if (body instanceof Buffer || typeof body === 'string' || body === undefined) sent.end(body);
  else {
    for (const piece of body) sent.write(piece);
    sent.end();
  }
  return promise;
}

/** The one error of an answer's body, which must have the form of the distribution specification. */
export function errorOf(answer: Answer): {
  code: string;
  message: string;
  detail: Record<string, unknown>;
} {
  const parsed = JSON.parse(answer.text) as {
    errors: { code: string; message: string; detail: Record<string, unknown> }[];
  };
  const [error] = parsed.errors;
  if (error === undefined || parsed.errors.length !== 1) throw new Error(`not one error: ${answer.text}`);
  return error;
}

/** The answer in short, for assertions of many cases: status and error code. */
export function statusAndCode(answer: Answer): string {
  return answer.status < 400 ? String(answer.status) : `${answer.status} ${errorOf(answer).code}`;
}

export function jsonOf(answer: Answer): unknown {
  return JSON.parse(answer.text);
}
