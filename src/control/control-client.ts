import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { ControlRefusal } from './contract.ts';
import type { ControlArguments } from './contract.ts';
import { ATTACH } from './control-server.ts';
import type { ControlReply } from './control-server.ts';

/**
 * Runs a command in the process that serves the folder; `null` when nobody serves it. `onProgress` hears how far
 * the work is. Throws `ControlRefusal` with the words of the other side.
 */
export async function askServer(
  path: string,
  call: { readonly command: string; readonly args: ControlArguments },
  onProgress: (report: unknown) => void,
): Promise<{ readonly result: unknown } | null> {
  const socket = await open(path);
  if (socket === null) return null;
  socket.write(`${JSON.stringify(call)}\n`);
  for await (const line of createInterface({ input: socket })) {
    const reply = JSON.parse(line) as ControlReply;
    if ('progress' in reply) onProgress(reply.progress);
    else if ('error' in reply) throw new ControlRefusal(reply.error.message);
    else return { result: reply.result };
  }
  throw new ControlRefusal('the server ended before the command did');
}

/** Makes a connection to a control socket one of the keeper. Throws `ControlRefusal` when the server refuses. */
export async function attachToKeeper(socket: Socket): Promise<void> {
  socket.write(`${JSON.stringify({ command: ATTACH, args: {} })}\n`);
  const reply = JSON.parse(await firstLine(socket)) as ControlReply;
  if ('error' in reply) throw new ControlRefusal(reply.error.message);
}

/** The line that is all that the other side says for now. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('utf8');
      if (!text.endsWith('\n')) return;
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.pause();
      resolve(text);
    };
    const onClose = (): void => reject(new ControlRefusal('the server ended the connection'));
    socket.on('data', onData);
    socket.once('close', onClose);
  });
}

function open(path: string): Promise<Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(null);
      else reject(new ControlRefusal(`the server of this folder cannot be reached: ${error.message}`));
    });
  });
}
