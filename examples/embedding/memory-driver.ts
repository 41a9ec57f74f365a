import {
  StorageError,
  type DriverFlags,
  type FileReader,
  type FileStat,
  type FileWriter,
  type ListEntry,
  type PutOptions,
  type StorageDriver,
} from 'zot-ts/driver';

/** One version of a file. Appending is the only change in place; a reader keeps the size that it saw. */
interface StoredFile {
  readonly chunks: Buffer[];
  sizeBytes: number;
  modifiedMs: number;
  version: number;
}

/**
 * A storage driver of one's own, as short as one can be: everything is in memory and gone with the process. Good for
 * tests; a pattern for stores that are not files. `memory-driver.test.ts` proves it with the suite of the contract.
 */
export class MemoryDriver implements StorageDriver {
  readonly name = 'example-memory';
  readonly flags: DriverFlags = { hardLinks: false, conditionalPut: true };
  readonly #files = new Map<string, StoredFile>();
  #versions = 0;

  async stat(path: string): Promise<FileStat | null> {
    const file = this.#files.get(path);
    return file === undefined ? null : statOf(file);
  }

  async read(path: string, sizeBytesMax: number): Promise<Buffer | null> {
    const file = this.#files.get(path);
    if (file === undefined) return null;
    if (file.sizeBytes > sizeBytesMax)
      throw new StorageError('invalid', path, { message: `${path} is too large` });
    return Buffer.concat(file.chunks);
  }

  async openReader(path: string): Promise<FileReader | null> {
    const file = this.#files.get(path);
    if (file === undefined) return null;
    const bytes = Buffer.concat(file.chunks);
    return {
      sizeBytes: bytes.length,
      modifiedMs: file.modifiedMs,
      read: async (buffer, position) => bytes.copy(buffer, 0, Math.min(position, bytes.length)),
      close: async () => undefined,
    };
  }

  async *list(path: string): AsyncIterable<ListEntry> {
    const prefix = `${path}/`;
    const entries = new Map<string, ListEntry>();
    for (const name of this.#files.keys()) {
      if (!name.startsWith(prefix)) continue;
      const [child = '', ...below] = name.slice(prefix.length).split('/');
      entries.set(child, { name: child, kind: below.length === 0 ? 'file' : 'folder' });
    }
    yield* entries.values();
  }

  async put(path: string, chunks: readonly Buffer[], options: PutOptions): Promise<FileStat> {
    const { ifFingerprint } = options;
    const there = this.#files.get(path);
    const fingerprint = there === undefined ? null : statOf(there).fingerprint;
    // Nothing is awaited between the comparison and the change, so no other put comes in between.
    if (ifFingerprint !== undefined && ifFingerprint !== fingerprint)
      throw new StorageError('conflict', path);
    return statOf(this.#store(path, chunks));
  }

  async createWriter(path: string): Promise<FileWriter> {
    if (this.#files.has(path)) throw new StorageError('exists', path);
    return this.#writerOf(this.#store(path, []));
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    const file = this.#files.get(path);
    return file === undefined ? null : this.#writerOf(file);
  }

  async move(from: string, to: string): Promise<void> {
    const file = this.#mustHave(from);
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  async link(from: string, to: string): Promise<void> {
    this.#store(to, this.#mustHave(from).chunks);
  }

  async delete(path: string): Promise<boolean> {
    return this.#files.delete(path);
  }

  async removeEmptyFolder(): Promise<boolean> {
    // Folders are only the beginnings of names here.
    return false;
  }

  async freeSpace(): Promise<null> {
    return null;
  }

  async close(): Promise<void> {
    this.#files.clear();
  }

  #mustHave(path: string): StoredFile {
    const file = this.#files.get(path);
    if (file === undefined) throw new StorageError('missing', path);
    return file;
  }

  #store(path: string, chunks: readonly Buffer[]): StoredFile {
    // The caller may use its buffers again, so the bytes are copied.
    const bytes = Buffer.concat(chunks);
    this.#versions += 1;
    const file = {
      chunks: [bytes],
      sizeBytes: bytes.length,
      modifiedMs: Date.now(),
      version: this.#versions,
    };
    this.#files.set(path, file);
    return file;
  }

  #writerOf(file: StoredFile): FileWriter {
    return {
      get sizeBytes() {
        return file.sizeBytes;
      },
      write: async (buffer) => {
        file.chunks.push(Buffer.from(buffer));
        file.sizeBytes += buffer.length;
        file.modifiedMs = Date.now();
        this.#versions += 1;
        file.version = this.#versions;
      },
      sync: async () => undefined,
      close: async () => undefined,
    };
  }
}

function statOf(file: StoredFile): FileStat {
  return { sizeBytes: file.sizeBytes, modifiedMs: file.modifiedMs, fingerprint: `${file.version}` };
}
