import { connect, type Socket } from 'node:net';
import { ResponseParser, type Answer } from './response-parser.ts';

export interface Origin {
  host: string;
  port: number;
}

export interface Request {
  method: string;
  /** Path and query. */
  path: string;
  /** Complete header lines, each ended by CRLF, without Host and Content-Length. */
  headers?: string;
  body?: readonly Buffer[];
  /** Send the body as chunks of 32 KiB without a length, as Go clients do when they stream. */
  chunked?: boolean;
  keepBody?: boolean;
}

const STALL_MS = 60_000;
const READ_BUFFER_BYTES = 1024 * 1024;
const GO_COPY_BYTES = 32 * 1024;

/** One buffer serves all connections of the process: bytes are counted at once and never kept. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

interface Waiter {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** One keep-alive connection with one request at a time. One that the server closed in between is opened again. */
export class Connection {
  readonly #origin: Origin;
  readonly #headers: string;
  #socket: Socket | null = null;
  #parser = new ResponseParser();
  #waiter: Waiter | null = null;
  /** How often the server closed the connection between two requests. */
  reconnects = -1;

  /** `headers`: complete lines that every request carries. */
  constructor(origin: Origin, headers = '') {
    this.#origin = origin;
    this.#headers = headers;
  }

  /** Connects if needed, so that a timed part need not. */
  async open(): Promise<void> {
    if (this.#socket !== null) return;
    this.reconnects += 1;
    this.#parser = new ResponseParser();
    this.#socket = await this.#connect();
  }

  /** Sends one request and gives its answer; rejects when the connection breaks or stalls for a minute. */
  async send(request: Request): Promise<Answer> {
    if (this.#socket === null) await this.open();
    const socket = this.#socket;
    if (socket === null) throw new Error('not connected');
    this.#parser.expect({ headOnly: request.method === 'HEAD', keepBody: request.keepBody === true });
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
    write(socket, this.#headOf(request), request);
    return answer;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  #headOf(request: Request): string {
    const host = `Host: ${this.#origin.host}:${this.#origin.port}\r\n`;
    const headers = `${host}${this.#headers}${request.headers ?? ''}${framing(request)}`;
    return `${request.method} ${request.path} HTTP/1.1\r\n${headers}\r\n`;
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket: Socket = connect({
        ...this.#origin,
        noDelay: true,
        onread: {
          buffer: readBuffer,
          callback: (countBytes) => this.#received(socket, readBuffer.subarray(0, countBytes)),
        },
      });
      socket.setTimeout(STALL_MS, () => socket.destroy(new Error(`no progress for ${STALL_MS} ms`)));
      socket.once('connect', () => resolve(socket));
      socket.on('error', (error) => {
        reject(error);
        this.#fail(socket, error);
      });
      socket.on('close', () => this.#fail(socket, new Error('the server closed the connection')));
      socket.on('end', () => socket.destroy());
    });
  }

  #received(socket: Socket, bytes: Buffer): boolean {
    try {
      const answer = this.#parser.push(bytes);
      if (answer === null) return true;
      const waiter = this.#waiter;
      this.#waiter = null;
      waiter?.resolve(answer);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
    return true;
  }

  #fail(socket: Socket, error: Error): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.reject(error);
  }
}

function framing(request: Request): string {
  if (request.body === undefined) return '';
  if (request.chunked === true) return 'Transfer-Encoding: chunked\r\n';
  return `Content-Length: ${request.body.reduce((sum, part) => sum + part.length, 0)}\r\n`;
}

function write(socket: Socket, head: string, request: Request): void {
  if (request.body === undefined) {
    socket.write(head, 'latin1');
    return;
  }
  // Small requests leave in one packet, as they do from other clients.
  socket.cork();
  socket.write(head, 'latin1');
  for (const part of request.body) socket.write(request.chunked === true ? framed(part) : part);
  if (request.chunked === true) socket.write('0\r\n\r\n', 'latin1');
  socket.uncork();
}

/** Large parts are shared by many requests, and so is their framing: it costs the client once. */
const framedParts = new WeakMap<Buffer, Buffer>();

/** The bytes as HTTP chunks of 32 KiB. */
function framed(part: Buffer): Buffer {
  const known = framedParts.get(part);
  if (known !== undefined) return known;
  const pieces: Buffer[] = [];
  for (let at = 0; at < part.length; at += GO_COPY_BYTES) {
    const piece = part.subarray(at, at + GO_COPY_BYTES);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  const bytes = Buffer.concat(pieces);
  framedParts.set(part, bytes);
  return bytes;
}
