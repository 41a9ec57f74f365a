import { TransferRefusal } from './refusal.ts';

/** Where bytes come from: the next ones, or `null` at the end. */
export interface ByteInput {
  next(): Promise<Buffer | null>;
  /** Passes over bytes without reading them, where the source can. */
  jump?(sizeBytes: number): void;
  close(): Promise<void>;
}

const EMPTY = Buffer.alloc(0);

/** Reads an input in pieces of any size, in order and once, without ever holding more than one of its pieces. */
export class ByteStream {
  #input: ByteInput;
  #rest: Buffer = EMPTY;
  #position = 0;

  constructor(input: ByteInput) {
    this.#input = input;
  }

  /** Bytes from the beginning. */
  get position(): number {
    return this.#position;
  }

  /** The first bytes, at most so many, without taking them. */
  async peek(sizeBytes: number): Promise<Buffer> {
    while (this.#rest.length < sizeBytes) {
      const more = await this.#input.next();
      if (more === null) break;
      this.#rest = this.#rest.length === 0 ? more : Buffer.concat([this.#rest, more]);
    }
    return this.#rest.subarray(0, sizeBytes);
  }

  /** Exactly so many bytes; `null` where the input ended before the first of them. Throws where it ends within. */
  async take(sizeBytes: number): Promise<Buffer | null> {
    const bytes = await this.peek(sizeBytes);
    if (bytes.length === 0 && sizeBytes > 0) return null;
    if (bytes.length < sizeBytes) throw this.#cutOff();
    this.#rest = this.#rest.subarray(sizeBytes);
    this.#position += sizeBytes;
    return bytes;
  }

  /** So many bytes in pieces. Throws where the input ends within. */
  async *body(sizeBytes: number): AsyncGenerator<Buffer, void, undefined> {
    for (let left = sizeBytes; left > 0;) {
      const piece = await this.#piece(left);
      left -= piece.length;
      yield piece;
    }
  }

  /** The next bytes, as many as come; `null` at the end. */
  async some(): Promise<Buffer | null> {
    if (this.#rest.length > 0) return this.#piece(this.#rest.length);
    const piece = await this.#input.next();
    this.#position += piece?.length ?? 0;
    return piece;
  }

  async #piece(sizeBytesMax: number): Promise<Buffer> {
    const piece = this.#rest.length > 0 ? this.#rest : await this.#input.next();
    if (piece === null) throw this.#cutOff();
    const taken = piece.subarray(0, sizeBytesMax);
    this.#rest = piece.subarray(taken.length);
    this.#position += taken.length;
    return taken;
  }

  /** Passes over so many bytes. Where the source can jump, an end within shows only at the next reading. */
  async skip(sizeBytes: number): Promise<void> {
    const here = Math.min(sizeBytes, this.#rest.length);
    this.#rest = this.#rest.subarray(here);
    this.#position += here;
    const left = sizeBytes - here;
    if (left === 0) return;
    if (this.#input.jump === undefined) {
      for await (const _piece of this.body(left));
      return;
    }
    this.#input.jump(left);
    this.#position += left;
  }

  /** Reads on to the end, so that checksums behind the last byte are looked at; gives up after so many bytes. */
  async drain(sizeBytesMax: number): Promise<void> {
    this.#rest = EMPTY;
    for (let left = sizeBytesMax; left > 0;) {
      const piece = await this.#input.next();
      if (piece === null) return;
      left -= piece.length;
    }
  }

  close(): Promise<void> {
    return this.#input.close();
  }

  #cutOff(): TransferRefusal {
    return new TransferRefusal(`the archive is cut off after ${this.#position + this.#rest.length} bytes`);
  }
}
