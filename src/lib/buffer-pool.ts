/** Buffers become smaller the more of them are in use, which bounds the memory of all transfers together. */
const SIZES: readonly { readonly inUseMax: number; readonly sizeBytes: number }[] = [
  { inUseMax: 32, sizeBytes: 1024 * 1024 },
  { inUseMax: 128, sizeBytes: 256 * 1024 },
  { inUseMax: Infinity, sizeBytes: 64 * 1024 },
];
const SMALLEST_BYTES = 64 * 1024;
/** Kept for the next transfer at most; the rest is left to the garbage collector. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** Reused buffers for moving content: allocating a megabyte for each megabyte moved costs more than moving it. */
export class BufferPool {
  #free = new Map<number, Buffer[]>();
  #freeBytes = 0;
  #inUse = 0;
  #allocate: (sizeBytes: number) => Buffer;

  /** `allocate` gives memory of a size, plain or, for disks that fetch bytes themselves, `pageAligned`. */
  constructor(allocate: (sizeBytes: number) => Buffer = (sizeBytes) => Buffer.allocUnsafeSlow(sizeBytes)) {
    this.#allocate = allocate;
  }

  /** A buffer with room for all that is needed, or as large as is fitting now. Its old content is not erased. */
  take(neededBytes = Infinity): Buffer {
    this.#inUse += 1;
    const sizeBytes = SIZES.find(({ inUseMax }) => this.#inUse <= inUseMax)?.sizeBytes ?? SMALLEST_BYTES;
    if (neededBytes < sizeBytes) return Buffer.allocUnsafe(neededBytes);
    const kept = this.#free.get(sizeBytes)?.pop();
    if (kept === undefined) return this.#allocate(sizeBytes);
    this.#freeBytes -= sizeBytes;
    return kept;
  }

  /** Gives a buffer back that nobody reads or writes any more. */
  give(buffer: Buffer): void {
    this.#inUse -= 1;
    const pooled = SIZES.some(({ sizeBytes }) => sizeBytes === buffer.length);
    if (!pooled || this.#freeBytes + buffer.length > KEPT_BYTES_MAX) return;
    const list = this.#free.get(buffer.length) ?? [];
    list.push(buffer);
    this.#free.set(buffer.length, list);
    this.#freeBytes += buffer.length;
  }
}

/**
 * Memory that begins at a page, as disks want it that fetch bytes themselves: what may grow is reserved in whole pages,
 * while other memory begins 16 bytes into one.
 */
export function pageAligned(sizeBytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(sizeBytes, { maxByteLength: sizeBytes }));
}
