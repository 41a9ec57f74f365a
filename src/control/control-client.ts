import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { ControlRefusal } from './contract.ts';
import type { ControlArguments } from './contract.ts';
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
