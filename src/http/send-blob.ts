import { BufferPool } from '#lib/buffer-pool';
import type { FileReader } from '#registry';
import type { RawResponse } from './body.ts';
import type { ByteRange } from './range.ts';

/**
 * Sends stored bytes. Two buffers take turns: while the kernel takes one, the next is read. That costs less than
 * half of what piped file streams cost; `docs/performance.md` has the figures.
 */
const pool = new BufferPool();

/** Thrown when the bytes on the disk ended before the announced length: the connection is cut, never padded. */
export class ShortContent extends Error {}

/** Sends one part of an open file and gives the number of bytes; returns early when the client went away. */
export async function sendPart(reader: FileReader, part: ByteRange, response: RawResponse): Promise<number> {
  const lengthBytes = part.last - part.first + 1;
  const buffers = [pool.take(lengthBytes)];
  let sent = 0;
  let writing: Promise<void> | null = null;
  try {
    for (let turn = 0; sent < lengthBytes; turn = 1 - turn) {
      const buffer = (buffers[turn] ??= pool.take(lengthBytes));
      const wanted = Math.min(buffer.length, lengthBytes - sent);
      const room = wanted === buffer.length ? buffer : buffer.subarray(0, wanted);
      const filled = await reader.read(room, part.first + sent);
      if (filled < wanted)
        throw new ShortContent(`${lengthBytes - sent - filled} bytes are missing at the end`);
      await writing;
      if (response.destroyed || response.closed) return sent;
      writing = write(response, buffer.subarray(0, filled));
      sent += filled;
    }
    await writing;
    return sent;
  } finally {
    // A buffer may be reused only when the kernel has taken it.
    await writing?.catch(() => undefined);
    for (const buffer of buffers) pool.give(buffer);
  }
}

/** Settles when the kernel has taken the bytes, or the client is gone. */
function write(response: RawResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('close', done);
      resolve();
    };
    response.on('close', done);
    // The types of the two protocols' responses differ in everything but this call.
    (response.write as (chunk: Buffer, done: () => void) => boolean).call(response, bytes, done);
  });
}
