import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
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

/**
 * Answers commands on the control socket of a folder, which only this user can reach. A server that cannot have one
 * (some file systems know no sockets) serves all the same, and says so.
 */
export async function serveControl(
  ownFolder: string,
  commands: ControlCommands,
  host: ControlHost,
): Promise<{ close(): void }> {
  try {
    return await listen(controlSocketPath(ownFolder), commands, host);
  } catch (error) {
    host.logger.warn({ component: 'control', error }, 'commands such as "zot gc" cannot reach this server');
    return { close: () => undefined };
  }
}

function listen(path: string, commands: ControlCommands, host: ControlHost): Promise<Server> {
  // The folder's lock is ours: a socket that is there was left by a process that is gone.
  rmSync(path, { force: true });
  const server = createServer((socket) => answer(socket, commands, host));
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once('error', reject);
  server.listen(path, () => resolve(server));
  // Commands do not keep the server alive.
  server.unref();
  return promise;
}

function answer(socket: Socket, commands: ControlCommands, host: ControlHost): void {
  const gone = new AbortController();
  socket.on('close', () => gone.abort());
  socket.on('error', () => socket.destroy());
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received > REQUEST_BYTES_MAX) socket.destroy();
  });
  const lines = createInterface({ input: socket });
  lines.once('line', (line) => void run(line, socket, { commands, host, signal: gone.signal }));
}

async function run(
  line: string,
  socket: Socket,
  parts: { readonly commands: ControlCommands; readonly host: ControlHost; readonly signal: AbortSignal },
): Promise<void> {
  const { commands, host, signal } = parts;
  const send = (reply: ControlReply): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  };
  try {
    const { command, args } = JSON.parse(line) as ControlRequest;
    host.logger.info({ component: 'control', command }, 'command received');
    const result = await commands.run(command, {
      args,
      host,
      signal,
      progress: (progress) => send({ progress }),
    });
    send({ result: result ?? null });
  } catch (error) {
    if (!(error instanceof ControlRefusal))
      host.logger.error({ component: 'control', error }, 'command failed');
    send({ error: { message: error instanceof Error ? error.message : String(error) } });
  } finally {
    socket.end();
  }
}
