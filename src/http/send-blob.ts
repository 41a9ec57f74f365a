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
  let handedOver = 0;
  let taken = 0;
  let writing: Promise<boolean> | null = null;
  try {
    for (let turn = 0; handedOver < lengthBytes; turn = 1 - turn) {
      const buffer = (buffers[turn] ??= pool.take(lengthBytes));
      const wanted = Math.min(buffer.length, lengthBytes - handedOver);
      const room = wanted === buffer.length ? buffer : buffer.subarray(0, wanted);
      const filled = await reader.read(room, part.first + handedOver);
      if (filled < wanted)
        throw new ShortContent(`${lengthBytes - handedOver - filled} bytes are missing at the end`);
      if (writing !== null && !(await writing)) return taken;
      taken = handedOver;
      if (response.destroyed || response.closed) return taken;
      writing = write(response, buffer.subarray(0, filled));
      handedOver += filled;
    }
    return writing === null || (await writing) ? handedOver : taken;
  } finally {
    // A buffer may be reused only when the kernel has taken it.
    await writing;
    for (const buffer of buffers) pool.give(buffer);
  }
}

/** Settles when the kernel has taken the bytes (`true`), or the client is gone. */
function write(response: RawResponse, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (error?: Error | null): void => {
      response.off('close', gone);
      resolve(error === undefined || error === null);
    };
    const gone = (): void => resolve(false);
    response.once('close', gone);
    // The types of the two protocols' responses differ in everything but this call.
    (response.write as (chunk: Buffer, done: (error?: Error | null) => void) => boolean).call(
      response,
      bytes,
      done,
    );
  });
}
