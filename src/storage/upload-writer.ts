import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { digestSoFar } from '#oci/digest';
import type { Digest, DigestAlgorithm } from '#oci/digest';
import type { FileWriter } from './driver.ts';

/** Bytes gathered before one write: fewer, larger writes cost a third less CPU than those of the socket's size. */
const WRITE_SIZE = 1024 * 1024;

/**
 * Appends a body to an upload's file and hashes it on the way.
 *
 * Invariants: (1) bytes are written in the order they came; (2) the hash covers exactly the bytes handed to the
 * file, earlier ones included when the hash was continued; (3) after `flush`, `writtenBytes` bytes are in the file.
 * The caller may reuse nothing it passed in until `append` settles; buffers are copied only when they are small.
 */
export class UploadWriter {
  #writer: FileWriter;
  #hash: Hash | null;
  readonly #algorithm: DigestAlgorithm;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;

  /** `hash: null` when the digest of what is already in the file is not known. */
  constructor(writer: FileWriter, algorithm: DigestAlgorithm, hash: Hash | null) {
    this.#writer = writer;
    this.#algorithm = algorithm;
    this.#hash = hash;
  }

  /** A writer for a file that is empty, so that its hash starts here. */
  static fresh(writer: FileWriter, algorithm: DigestAlgorithm): UploadWriter {
    return new UploadWriter(writer, algorithm, createHash(algorithm));
  }

  /** Bytes taken in all, those still gathered included. */
  get sizeBytes(): number {
    return this.#writer.sizeBytes + this.#gatheredBytes;
  }

  /** Takes a piece of the body; settles when there is room for the next. */
  async append(chunk: Buffer): Promise<void> {
    this.#hash?.update(chunk);
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= WRITE_SIZE) await this.flush();
  }

  /** Hands everything gathered to the file. */
  async flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return;
    const [first] = this.#gathered;
    const whole = this.#gathered.length === 1 && first ? first : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    try {
      await this.#writer.write(whole);
    } catch (error) {
      // The hash covers bytes that the file may lack: it proves nothing any more.
      this.#hash = null;
      throw error;
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

  async sync(): Promise<void> {
    await this.#writer.sync();
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }
}
