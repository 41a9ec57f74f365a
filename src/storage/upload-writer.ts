import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { BufferPool, pageAligned } from '#lib/buffer-pool';
import { digestSoFar } from '#oci/digest';
import type { Digest, DigestAlgorithm } from '#oci/digest';
import { BLOCK_BYTES } from './driver.ts';
import type { FileWriter } from './driver.ts';

const pool = new BufferPool(pageAligned);

/**
 * Appends a body to an upload's file and hashes it on the way. Pieces are copied into large reused buffers: one is
 * written while the next is filled. Fewer, larger writes cost a third less CPU than those of the socket's size, and
 * the pieces themselves die young.
 *
 * Invariants: (1) bytes are written in the order they came; (2) the hash covers exactly the bytes handed to the
 * file, earlier ones included when the hash was continued; (3) after `flush`, `sizeBytes` bytes are in the file.
 */
export class UploadWriter {
  #writer: FileWriter;
  #hash: Hash | null;
  readonly #algorithm: DigestAlgorithm;
  /** Bytes that the file will have when everything taken is written. */
  #takenBytes: number;
  #filling: Buffer | null = null;
  #filledBytes = 0;
  /** Where the buffer that is filled begins in the file. */
  #filledFrom: number;
  #writing: Promise<void> | null = null;
  #failed = false;

  /** `hash: null` when the digest of what is already in the file is not known. */
  constructor(writer: FileWriter, algorithm: DigestAlgorithm, hash: Hash | null) {
    this.#writer = writer;
    this.#algorithm = algorithm;
    this.#hash = hash;
    this.#takenBytes = writer.sizeBytes;
    this.#filledFrom = writer.sizeBytes;
  }

  /** A writer for a file that is empty, so that its hash starts here. */
  static fresh(writer: FileWriter, algorithm: DigestAlgorithm): UploadWriter {
    return new UploadWriter(writer, algorithm, createHash(algorithm));
  }

  /** Bytes taken in all, those not yet written included; after a failure, the bytes that are in the file. */
  get sizeBytes(): number {
    return this.#failed ? this.#writer.sizeBytes : this.#takenBytes;
  }

  /**
   * Takes a piece of the body for good: a piece that has its memory to itself gives it back here and is empty
   * afterwards, instead of waiting for the garbage collector. Settles when there is room for the next.
   */
  async append(chunk: Buffer): Promise<void> {
    this.#hash?.update(chunk);
    this.#takenBytes += chunk.length;
    for (let at = 0; at < chunk.length;) {
      const buffer = (this.#filling ??= pool.take());
      // A buffer that begins within a block ends at one, so that the next begins there.
      const room = buffer.length - (this.#filledFrom % BLOCK_BYTES) - this.#filledBytes;
      const copied = chunk.copy(buffer, this.#filledBytes, at, Math.min(chunk.length, at + room));
      this.#filledBytes += copied;
      at += copied;
      if (copied === room) await this.#handOver();
    }
    release(chunk);
  }

  /** Hands everything taken to the file; settles when it is written. */
  async flush(): Promise<void> {
    if (this.#filledBytes > 0) await this.#handOver();
    await this.#writing;
  }

  /** Starts writing the filled buffer, once the one before is written. */
  async #handOver(): Promise<void> {
    const buffer = this.#filling;
    const bytes = this.#filledBytes;
    this.#filling = null;
    this.#filledBytes = 0;
    this.#filledFrom += bytes;
    if (buffer === null) return;
    try {
      await this.#writing;
    } catch (error) {
      pool.give(buffer);
      throw error;
    }
    this.#writing = this.#write(buffer, bytes);
    // Whoever takes the next step hears of a failure; until then it must not count as unhandled.
    this.#writing.catch(() => undefined);
  }

  async #write(buffer: Buffer, bytes: number): Promise<void> {
    try {
      await this.#writer.write(bytes === buffer.length ? buffer : buffer.subarray(0, bytes));
    } catch (error) {
      // The hash covers bytes that the file may lack: it proves nothing any more.
      this.#failed = true;
      this.#hash = null;
      throw error;
    } finally {
      pool.give(buffer);
    }
  }

  /** The digest of everything taken so far, or `null` when the beginning was not hashed here. */
  digest(): Digest | null {
    return this.#hash === null ? null : digestSoFar(this.#hash, this.#algorithm);
  }

  /** The running hash, to be continued by a later request of this process. */
  get hash(): Hash | null {
    return this.#hash;
  }

  get algorithm(): DigestAlgorithm {
    return this.#algorithm;
  }

  /** Makes everything taken so far durable. */
  async sync(): Promise<void> {
    await this.flush();
    await this.#writer.sync();
  }

  /** Closes the file; what was not flushed is dropped. */
  async close(): Promise<void> {
    if (this.#filling !== null) pool.give(this.#filling);
    this.#filling = null;
    this.#filledBytes = 0;
    // A failure is told by the append or flush that waited for this write.
    await this.#writing?.catch(() => undefined);
    await this.#writer.close();
  }
}

/** Gives the memory of a piece back, if no other buffer lies in it. */
function release(chunk: Buffer): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && chunk.byteLength > 0 && chunk.byteLength === buffer.byteLength) {
    buffer.transfer(0);
  }
}
