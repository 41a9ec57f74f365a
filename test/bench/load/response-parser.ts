/**
 * The least parsing of HTTP/1.1 answers that is still right for registries: status, Content-Length, Location, and
 * chunked bodies (some answer long lists so). One answer at a time: no request is sent before the last was answered.
 */
export interface Answer {
  status: number;
  bodyBytes: number;
  location: string | null;
  /** The body when it was asked for, else null. */
  body: Buffer | null;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const NO_BODY: ReadonlySet<number> = new Set([204, 304]);
const EMPTY = Buffer.alloc(0);

type State = 'idle' | 'head' | 'body' | 'chunk-size' | 'chunk-data' | 'trailer';

export class ResponseParser {
  #state: State = 'idle';
  #pending: Buffer = EMPTY;
  #remainingBytes = 0;
  #kept: Buffer[] | null = null;
  #headOnly = false;
  #answer: Answer = { status: 0, bodyBytes: 0, location: null, body: null };

  /** Call before each request. `headOnly`: a HEAD request, whose answer has lengths but no body. */
  expect(options: { headOnly: boolean; keepBody: boolean }): void {
    if (this.#state !== 'idle') throw new Error('the last answer is not complete');
    this.#state = 'head';
    this.#headOnly = options.headOnly;
    this.#kept = options.keepBody ? [] : null;
  }

  /** Takes received bytes, which may be overwritten afterwards. Returns the answer once it is complete, else null. */
  push(bytes: Buffer): Answer | null {
    let rest = bytes;
    while (rest.length > 0) {
      rest = this.#step(rest);
      if (this.#state !== 'idle') continue;
      if (rest.length > 0) throw new Error('more bytes than the answer announced');
      return this.#finish();
    }
    return null;
  }

  #step(bytes: Buffer): Buffer {
    if (this.#state === 'idle') throw new Error('bytes that no request asked for');
    if (this.#state === 'head') return this.#readHead(bytes);
    if (this.#state === 'body' || this.#state === 'chunk-data') return this.#readBody(bytes);
    return this.#readLine(bytes);
  }

  #readHead(bytes: Buffer): Buffer {
    const all = this.#join(bytes);
    const end = all.indexOf(HEAD_END);
    if (end < 0) {
      this.#pending = Buffer.from(all);
      return EMPTY;
    }
    const head = all.toString('latin1', 0, end);
    const status = Number(head.slice(9, 12));
    // Interim answers (100 Continue) precede the real one.
    if (status >= 100 && status < 200) return all.subarray(end + 4);
    const location = status === 202 ? (/\r\nlocation: *([^\r]+)/i.exec(head)?.[1] ?? null) : null;
    this.#answer = { status, bodyBytes: 0, location, body: null };
    this.#enterBody(head, status);
    return all.subarray(end + 4);
  }

  #enterBody(head: string, status: number): void {
    if (this.#headOnly || NO_BODY.has(status)) {
      this.#state = 'idle';
      return;
    }
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length !== null) {
      this.#remainingBytes = Number(length[1]);
      this.#state = this.#remainingBytes === 0 ? 'idle' : 'body';
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#state = 'chunk-size';
    } else {
      throw new Error(`an answer of status ${status} with neither Content-Length nor chunks`);
    }
  }

  #readBody(bytes: Buffer): Buffer {
    const taken = Math.min(bytes.length, this.#remainingBytes);
    if (this.#kept !== null) this.#kept.push(Buffer.from(bytes.subarray(0, taken)));
    this.#answer.bodyBytes += taken;
    this.#remainingBytes -= taken;
    if (this.#remainingBytes === 0) this.#state = this.#state === 'body' ? 'idle' : 'chunk-size';
    return bytes.subarray(taken);
  }

  /** A chunk size, the empty line that ends a chunk, or the trailer's last line. */
  #readLine(bytes: Buffer): Buffer {
    const all = this.#join(bytes);
    const end = all.indexOf('\r\n');
    if (end < 0) {
      this.#pending = Buffer.from(all);
      return EMPTY;
    }
    const line = all.toString('latin1', 0, end);
    if (this.#state === 'trailer') {
      if (line === '') this.#state = 'idle';
    } else if (line !== '') {
      this.#remainingBytes = Number.parseInt(line, 16);
      this.#state = this.#remainingBytes === 0 ? 'trailer' : 'chunk-data';
    }
    return all.subarray(end + 2);
  }

  #join(bytes: Buffer): Buffer {
    if (this.#pending.length === 0) return bytes;
    const all = Buffer.concat([this.#pending, bytes]);
    this.#pending = EMPTY;
    return all;
  }

  #finish(): Answer {
    if (this.#kept !== null) this.#answer.body = Buffer.concat(this.#kept);
    return this.#answer;
  }
}
