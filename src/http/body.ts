import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { RegistryError } from '#oci/errors';

export type RawRequest = IncomingMessage | Http2ServerRequest;
export type RawResponse = ServerResponse | Http2ServerResponse;

/** A body that brings less than this in a whole deadline makes no progress. */
const PROGRESS_BYTES_MIN = 1024;

const awaitingContinue = new WeakSet<RawRequest>();

/** Notes that the client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). */
export function expectContinue(request: RawRequest): void {
  awaitingContinue.add(request);
}

/** Whether the client still waits to be asked for its body. */
export function isAwaitingContinue(request: RawRequest): boolean {
  return awaitingContinue.has(request);
}

/** The client went away in the middle of its body. What arrived has been handed on. */
export class ClientGone extends Error {}

/** Bytes taken from the socket ahead of whoever writes them. */
const AHEAD_BYTES_MAX = 1024 * 1024;

/**
 * The body of a request as it arrives. Iterating throws `REQUEST_TIMEOUT` when it makes no progress for `idleMs` (0:
 * never); however long the whole takes is the client's business. Throws `ClientGone` when the connection ends early.
 * The request is never destroyed here: an answer is to follow, also after a body that stopped.
 */
export class RequestBody implements AsyncIterable<Buffer> {
  readonly #request: RawRequest;
  readonly #response: RawResponse;
  readonly #idleMs: number;
  #arriving: ArrivingBody | null = null;
  #stopped: Error | null = null;

  constructor(request: RawRequest, response: RawResponse, idleMs: number) {
    this.#request = request;
    this.#response = response;
    this.#idleMs = idleMs;
  }

  /** Makes whoever reads get this error instead of what the client may still send. */
  stop(error: Error): void {
    this.#stopped = error;
    this.#arriving?.finish('stopped');
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const body = new ArrivingBody(this.#request, this.#idleMs);
    this.#arriving = body;
    if (awaitingContinue.delete(this.#request)) this.#response.writeContinue();
    try {
      for (;;) {
        const chunks = await body.take();
        if (this.#stopped !== null) throw this.#stopped;
        if (chunks === null) return;
        // Not `yield*`, which would make promises of its own for each piece.
        for (const chunk of chunks) yield chunk;
      }
    } finally {
      body.close();
    }
  }
}

/** Takes a body's pieces off the socket, and stops it while enough of them wait. */
class ArrivingBody {
  #request: RawRequest;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #sinceTick = 0;
  #end: 'open' | 'complete' | 'gone' | 'stalled' | 'stopped' = 'open';
  #wake: (() => void) | null = null;
  #tick: NodeJS.Timeout | undefined;
  #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#sinceTick += chunk.length;
    if (this.#bytes >= AHEAD_BYTES_MAX) this.#request.pause();
    this.#wake?.();
  };
  #onEnd = (): void => this.finish(this.#request.complete ? 'complete' : 'gone');
  #onGone = (): void =>
    this.finish(this.#request.readableEnded && this.#request.complete ? 'complete' : 'gone');

  constructor(request: RawRequest, idleMs: number) {
    this.#request = request;
    request
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onGone)
      .on('close', this.#onGone);
    if (request.readableEnded) this.#onEnd();
    else if (request.destroyed) this.#onGone();
    if (idleMs <= 0) return;
    this.#tick = setInterval(() => {
      // While pieces wait here it is we who are slow, not the client.
      if (this.#sinceTick < PROGRESS_BYTES_MIN && this.#chunks.length === 0) this.finish('stalled');
      this.#sinceTick = 0;
    }, idleMs);
  }

  /** The pieces that wait, as soon as there is one; `null` at the end of the body. */
  async take(): Promise<Buffer[] | null> {
    while (this.#chunks.length === 0) {
      if (this.#end === 'complete' || this.#end === 'stopped') return null;
      if (this.#end === 'stalled') throw new RegistryError('REQUEST_TIMEOUT');
      if (this.#end === 'gone') throw new ClientGone('the connection ended before the body did');
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    if (this.#request.isPaused()) this.#request.resume();
    return chunks;
  }

  close(): void {
    clearInterval(this.#tick);
    const request = this.#request;
    request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onGone);
    // The error listener stays: a late error of a request nobody reads must not end the process.
  }

  finish(end: 'complete' | 'gone' | 'stalled' | 'stopped'): void {
    if (this.#end === 'open') this.#end = end;
    this.#wake?.();
  }
}

/** Bounds what bodies that are gathered in memory take while clients send them, all requests together. */
export class ReceivingBudget {
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Throws `UNAVAILABLE` when there is no room. */
  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax) return;
    this.#bytes -= bytes;
    throw new RegistryError('UNAVAILABLE', {
      message: 'too many manifests are being received, try again',
      retryAfterSeconds: 1,
    });
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

const budgetOfAll = new ReceivingBudget(256 * 1024 * 1024);

export interface WholeBodyOptions {
  readonly announcedBytes: number | null;
  readonly sizeBytesMax: number;
  readonly tooLarge: () => Error;
  /** Instead of the one that all requests of this process share. */
  readonly budget?: ReceivingBudget;
}

/** The whole body, if it is no larger than `sizeBytesMax`; otherwise throws the error that `tooLarge` makes. */
export async function wholeBody(source: AsyncIterable<Buffer>, options: WholeBodyOptions): Promise<Buffer> {
  if ((options.announcedBytes ?? 0) > options.sizeBytesMax) throw options.tooLarge();
  const { budget = budgetOfAll } = options;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of source) {
      if (sizeBytes + chunk.length > options.sizeBytesMax) throw options.tooLarge();
      budget.take(chunk.length);
      sizeBytes += chunk.length;
      chunks.push(chunk);
    }
    return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, sizeBytes);
  } finally {
    budget.give(sizeBytes);
  }
}

/** Whether a request has a body, or may still send one. */
export function hasBody(request: RawRequest): boolean {
  const { headers, httpVersionMajor } = request;
  if (headers['content-length'] !== undefined) return headers['content-length'] !== '0';
  if (httpVersionMajor >= 2) return !request.readableEnded;
  return headers['transfer-encoding'] !== undefined;
}

/** The Content-Length of a request; `null` when it has none (chunked, or HTTP/2 without one). */
export function contentLength(request: RawRequest): number | null {
  const text = request.headers['content-length'];
  if (text === undefined) return null;
  if (!/^\d{1,15}$/.test(text))
    throw new RegistryError('SIZE_INVALID', { message: 'Content-Length is not a number of bytes' });
  return Number(text);
}
