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
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const lengthBytes = rest.readUInt32LE(0);
      if (lengthBytes > FRAME_BYTES_MAX) return void socket.destroy(new Error('a frame is too long'));
      if (rest.length < HEADER_BYTES + lengthBytes) return;
      const payload = rest.subarray(HEADER_BYTES, HEADER_BYTES + lengthBytes);
      rest = rest.subarray(HEADER_BYTES + lengthBytes);
      onMessage(deserialize(payload));
    }
  });
}
