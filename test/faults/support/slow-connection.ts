import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** A client that sends and reads by hand, as slowly as a test wants. */
export class SlowConnection {
  /** Everything that was read so far; its length only, when `keep` is off. */
  received = '';
  receivedBytes = 0;
  #socket: Socket;
  #ended = Promise.withResolvers<void>();
  #keep: boolean;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, keep: boolean) {
    this.#socket = socket;
    this.#keep = keep;
    socket.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length;
      if (this.#keep || this.received.length < 2000) this.received += chunk.toString('latin1');
      this.#wake();
    });
    // A connection that is cut off ends as well.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#ended.resolve();
      this.#wake();
    });
  }

  static async open(port: number, keep = true): Promise<SlowConnection> {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new SlowConnection(socket, keep);
  }

  /** The head of a request; the body is sent by `send`. */
  begin(method: string, path: string, headers: Readonly<Record<string, string | number>> = {}): void {
    const all = { host: '127.0.0.1', ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  }

  send(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** The status of the answer, as soon as its head is there; `null` when the connection ended before. */
  async status(): Promise<number | null> {
    for (;;) {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(this.received)?.[1];
      if (status !== undefined) return Number(status);
      if (this.#socket.destroyed) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Waits until at least so many bytes were read, or the connection ended. */
  async untilReceived(bytes: number): Promise<void> {
    while (this.receivedBytes < bytes && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  get isEnded(): boolean {
    return this.#socket.destroyed;
  }

  untilEnded(): Promise<void> {
    return this.#ended.promise;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
