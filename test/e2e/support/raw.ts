import { connect, type Socket } from 'node:net';

/** A connection on which a test writes what no honest client would. */
export class RawConnection {
  readonly #socket: Socket;
  readonly #received: Buffer[] = [];
  #bytesReceived = 0;
  #ended = false;
  #failure = '';
  #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#bytesReceived += chunk.length;
      this.#wake();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (this.#failure = error.code ?? error.message));
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  static async open(port: number): Promise<RawConnection> {
    return new RawConnection(await openSocket(port));
  }

  /** What has come so far, as text of single bytes. */
  get text(): string {
    return Buffer.concat(this.#received).toString('latin1');
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** How the connection failed, if it did: ECONNRESET for example. */
  get failure(): string {
    return this.#failure;
  }

  send(data: string | Buffer): void {
    if (!this.#ended) this.#socket.write(data);
  }

  /** Stops taking what the server sends, so that it has nowhere to put it. */
  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** Ends the connection at once, with a reset where there is unread data. */
  vanish(): void {
    this.#socket.resetAndDestroy();
  }

  /** Waits until the text so far matches; throws when the connection ends first or time runs out. */
  async waitFor(pattern: RegExp, timeoutMs = 5000): Promise<string> {
    await this.#until(() => pattern.test(this.text) || this.#ended, `for ${pattern}`, timeoutMs);
    if (pattern.test(this.text)) return this.text;
    throw new Error(`the connection ended (${this.#failure}) without ${pattern}: ${this.text.slice(0, 300)}`);
  }

  /** Waits until the server ends the connection, and gives all that came. */
  async waitForEnd(timeoutMs = 5000): Promise<string> {
    await this.#until(() => this.#ended, 'for the end', timeoutMs);
    return this.text;
  }

  async #until(isDone: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const watcher = (): void => {
      if (isDone()) late.resolve();
    };
    const timer = setTimeout(() => {
      late.reject(new Error(`waited ${timeoutMs} ms ${what}: ${this.text.slice(0, 300)}`));
    }, timeoutMs);
    this.#watchers.add(watcher);
    watcher();
    try {
      await late.promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    }
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

function openSocket(port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host: '127.0.0.1', port });
  socket.once('error', reject);
  socket.once('connect', () => {
    socket.off('error', reject);
    resolve(socket);
  });
  return promise;
}

/** Sends bytes on a fresh connection and gives all that comes until the server ends it. */
export async function exchange(port: number, data: string | Buffer, timeoutMs = 5000): Promise<string> {
  const connection = await RawConnection.open(port);
  connection.send(data);
  return connection.waitForEnd(timeoutMs);
}

/** The head of a request, with the lines that every one needs. */
export function headOf(requestLine: string, ...headers: readonly string[]): string {
  return [`${requestLine} HTTP/1.1`, 'Host: registry', ...headers, '', ''].join('\r\n');
}
