import { BLOCK_BYTES, paddingBytes, tarHeaderBlocks } from './tar-header.ts';

/** Takes bytes in order; settles when more may come. The caller must not change them before. */
export type ByteSink = (bytes: Buffer) => Promise<void>;

const PADDING = Buffer.alloc(BLOCK_BYTES);

/** Writes a tar archive, entry after entry. */
export class TarWriter {
  #write: ByteSink;

  constructor(write: ByteSink) {
    this.#write = write;
  }

  /** An entry of which everything is at hand; a name that ends in `/` is a folder. */
  async add(name: string, bytes: Buffer = Buffer.alloc(0)): Promise<void> {
    await this.#write(tarHeaderBlocks({ name, sizeBytes: bytes.length }));
    if (bytes.length > 0) await this.#write(bytes);
    await this.#pad(bytes.length);
  }

  /** An entry of so many bytes; `fill` hands exactly these to the sink it is given. */
  async stream(name: string, sizeBytes: number, fill: (write: ByteSink) => Promise<void>): Promise<void> {
    await this.#write(tarHeaderBlocks({ name, sizeBytes }));
    await fill(this.#write);
    await this.#pad(sizeBytes);
  }

  /** Two empty blocks end an archive. */
  async end(): Promise<void> {
    await this.#write(Buffer.alloc(2 * BLOCK_BYTES));
  }

  async #pad(sizeBytes: number): Promise<void> {
    const padding = paddingBytes(sizeBytes);
    if (padding > 0) await this.#write(PADDING.subarray(0, padding));
  }
}
