import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { ControlRefusal } from './contract.ts';
import type { ControlArguments, ControlCommands, ControlHost } from './contract.ts';
import { controlSocketPath } from './socket-path.ts';

/** One line of JSON each way, then as many as the work has to tell: `progress`, and at last `result` or `error`. */
export type ControlReply =
  | { readonly progress: unknown }
  | { readonly result: unknown }
  | { readonly error: { readonly message: string } };

export interface ControlRequest {
  readonly command: string;
  readonly args: ControlArguments;
}

const REQUEST_BYTES_MAX = 1024 * 1024;

/** Makes a connection one of the keeper: a command that moves many bytes writes them itself, as a worker does. */
export const ATTACH = 'keeper.attach';

export interface ControlParts {
  readonly commands: ControlCommands;
  readonly host: ControlHost;
  /** Takes a connection that asked for the keeper. */
  readonly attach: (socket: Socket) => void;
}

/**
 * Answers commands on the control socket of a folder, which only this user can reach. A server that cannot have one
 * (some file systems know no sockets) serves all the same, and says so.
 */
export async function serveControl(ownFolder: string, parts: ControlParts): Promise<{ close(): void }> {
  try {
    return await listen(controlSocketPath(ownFolder), parts);
  } catch (error) {
    parts.host.logger.warn(
      { component: 'control', error },
      'commands such as "zot gc" cannot reach this server',
    );
    return { close: () => undefined };
  }
}

function listen(path: string, parts: ControlParts): Promise<{ close(): void }> {
  // The folder's lock is ours: a socket that is there was left by a process that is gone.
  rmSync(path, { force: true });
  const attached = new Set<Socket>();
  const attach = (socket: Socket): void => {
    attached.add(socket);
    socket.once('close', () => attached.delete(socket));
    parts.attach(socket);
  };
  const server = createServer((socket) => answer(socket, { ...parts, attach }));
  const { promise, resolve, reject } = Promise.withResolvers<{ close(): void }>();
  server.once('error', reject);
  const close = (): void => {
    server.close();
    for (const socket of attached) socket.destroy();
  };
  server.listen(path, () => resolve({ close }));
  // Commands do not keep the server alive.
  server.unref();
  return promise;
}

function answer(socket: Socket, parts: ControlParts): void {
  const gone = new AbortController();
  socket.on('close', () => gone.abort());
  socket.on('error', () => socket.destroy());
  let received = 0;
  const limit = (chunk: Buffer): void => {
    received += chunk.length;
    if (received > REQUEST_BYTES_MAX) socket.destroy();
  };
  socket.on('data', limit);
  const lines = createInterface({ input: socket });
  lines.once('line', (line) => {
    lines.close();
    socket.off('data', limit);
    void run(line, socket, { ...parts, signal: gone.signal });
  });
}

async function run(
  line: string,
  socket: Socket,
  parts: ControlParts & { readonly signal: AbortSignal },
): Promise<void> {
  const { commands, host, signal } = parts;
  const send = (reply: ControlReply): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  };
  try {
    const { command, args } = JSON.parse(line) as ControlRequest;
    host.logger.info({ component: 'control', command }, 'command received');
    if (command === ATTACH) {
      parts.attach(socket);
      // The other side says nothing before it has read this line.
      return send({ result: null });
    }
    // Nothing more is expected, but the end is to be heard of.
    socket.resume();
    const result = await commands.run(command, {
      args,
      host,
      signal,
      progress: (progress) => send({ progress }),
      ready: () => drained(socket),
    });
    send({ result: result ?? null });
  } catch (error) {
    // A refusal with a cause is a fault.
    if (!(error instanceof ControlRefusal) || error.cause !== undefined)
      host.logger.error({ component: 'control', error }, 'command failed');
    send({ error: { message: error instanceof Error ? error.message : String(error) } });
  }
  socket.end();
}

/** Settles when a socket has room again, or is gone. */
function drained(socket: Socket): Promise<void> {
  if (!socket.writableNeedDrain || socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
