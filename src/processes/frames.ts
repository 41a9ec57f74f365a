import { deserialize, serialize } from 'node:v8';
import type { Socket } from 'node:net';

const HEADER_BYTES = 4;
/** A manifest with its projection fits many times; anything larger is a fault. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024;

/** Writes one message: its length in four bytes, then V8's own serialised form. Both ends are this program. */
export function writeFrame(socket: Socket, message: unknown): void {
  const payload = serialize(message);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(payload.length);
  socket.cork();
  socket.write(header);
  socket.write(payload);
  process.nextTick(() => socket.uncork());
}

/** Calls `onMessage` for each message that arrives; a frame that cannot be one ends the connection. */
export function readFrames(socket: Socket, onMessage: (message: unknown) => void): void {
  let pieces: Buffer[] = [];
  let gatheredBytes = 0;
  let neededBytes = HEADER_BYTES;
  socket.on('data', (chunk: Buffer) => {
    pieces.push(chunk);
    gatheredBytes += chunk.length;
    // A long frame is joined once, when it is whole.
    if (gatheredBytes < neededBytes) return;
    let rest = pieces.length === 1 ? chunk : Buffer.concat(pieces, gatheredBytes);
    for (neededBytes = neededFor(rest); rest.length >= neededBytes; neededBytes = neededFor(rest)) {
      const payload = rest.subarray(HEADER_BYTES, neededBytes);
      rest = rest.subarray(neededBytes);
      onMessage(deserialize(payload));
    }
    if (neededBytes > FRAME_BYTES_MAX) return void socket.destroy(new Error('a frame is too long'));
    pieces = rest.length === 0 ? [] : [rest];
    gatheredBytes = rest.length;
  });
}

/** Bytes of the frame that begins here, its header included; those of the header when not even that is there. */
function neededFor(rest: Buffer): number {
  return rest.length < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + rest.readUInt32LE(0);
}
