import { StorageError } from '../driver.ts';
import type {
  DriverFlags,
  DurabilityOptions,
  FileReader,
  FileStat,
  FileWriter,
  ListEntry,
  PutOptions,
  StorageDriver,
} from '../driver.ts';

/** As most file systems have it, so that what fits here fits there. */
const NAME_BYTES_MAX = 255;
const EMPTY = Buffer.alloc(0);

let filesMade = 0;

/** Content that any number of names may share. Replaced as a whole by `put`, grown by a writer. */
class MemoryFile {
  /** Room for the content; the first `sizeBytes` of it are the content. */
  room: Buffer;
  sizeBytes: number;
  modifiedMs = 0;
  version = 0;
  names = 0;
  readonly identity: string;

  constructor(content: Buffer) {
    filesMade += 1;
    this.identity = String(filesMade);
    this.room = content;
    this.sizeBytes = content.length;
  }

  get content(): Buffer {
    return this.room.subarray(0, this.sizeBytes);
  }

  append(bytes: Buffer): void {
    const sizeBytes = this.sizeBytes + bytes.length;
    if (sizeBytes > this.room.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(sizeBytes, this.room.length * 2));
      this.content.copy(room);
      this.room = room;
    }
    bytes.copy(this.room, this.sizeBytes);
    this.sizeBytes = sizeBytes;
  }
}

class MemoryFolder {
  readonly children = new Map<string, MemoryFolder | MemoryFile>();
}

/**
 * Files in the memory of this process: for a registry that need not outlive it, and for tests. Every call is done
 * before another one begins, so each is atomic.
 */
export class MemoryDriver implements StorageDriver {
  readonly name = 'memory';
  readonly flags: DriverFlags = { hardLinks: true, conditionalPut: true };
  #root = new MemoryFolder();
  #changes = 0;

  async stat(path: string): Promise<FileStat | null> {
    const file = this.#file(path);
    return file === null ? null : statOf(file);
  }

  async read(path: string, sizeBytesMax: number): Promise<Buffer | null> {
    const file = this.#file(path);
    if (file === null) return null;
    if (file.sizeBytes > sizeBytesMax)
      throw new StorageError('invalid', path, { message: `too large: ${path}` });
    return Buffer.from(file.content);
  }

  async openReader(path: string): Promise<FileReader | null> {
    const file = this.#file(path);
    if (file === null) return null;
    return {
      sizeBytes: file.sizeBytes,
      modifiedMs: file.modifiedMs,
      read: async (buffer, position) =>
        position < file.sizeBytes ? file.content.copy(buffer, 0, position) : 0,
      close: async () => undefined,
    };
  }

  async *list(path: string): AsyncIterable<ListEntry> {
    const found = path === '' ? this.#root : this.#find(path);
    if (!(found instanceof MemoryFolder)) return;
    // A copy: whoever walks may add and remove on the way.
    for (const [name, child] of Array.from(found.children)) {
      yield { name, kind: child instanceof MemoryFolder ? 'folder' : 'file' };
    }
  }

  async put(path: string, chunks: readonly Buffer[], options: PutOptions): Promise<FileStat> {
    const found = this.#file(path);
    const version = found === null ? null : statOf(found).fingerprint;
    if (options.ifFingerprint !== undefined && options.ifFingerprint !== version) {
      throw new StorageError('conflict', path);
    }
    const file = new MemoryFile(Buffer.concat(chunks));
    this.#name(path, file);
    return statOf(file);
  }

  async createWriter(path: string): Promise<FileWriter> {
    if (this.#find(path) !== null) throw new StorageError('exists', path);
    const file = new MemoryFile(EMPTY);
    this.#name(path, file);
    return this.#writer(file);
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    const file = this.#file(path);
    return file === null ? null : this.#writer(file);
  }

  async move(from: string, to: string, _options: DurabilityOptions): Promise<void> {
    const file = this.#file(from);
    if (file === null) throw new StorageError('missing', from);
    this.#name(to, file);
    if (from !== to) this.#unname(from);
  }

  async link(from: string, to: string, _options: PutOptions): Promise<void> {
    const file = this.#file(from);
    if (file === null) throw new StorageError('missing', from);
    this.#name(to, file);
  }

  async delete(path: string, _options: DurabilityOptions): Promise<boolean> {
    if (this.#file(path) === null) return false;
    this.#unname(path);
    return true;
  }

  async removeEmptyFolder(path: string): Promise<boolean> {
    const found = this.#find(path);
    if (!(found instanceof MemoryFolder) || found.children.size > 0) return false;
    this.#unname(path);
    return true;
  }

  async freeSpace(): Promise<null> {
    return null;
  }

  async close(): Promise<void> {
    // The content stays for as long as the driver itself, so that a registry can be started on it again.
  }

  #writer(file: MemoryFile): FileWriter {
    return {
      get sizeBytes() {
        return file.sizeBytes;
      },
      write: async (buffer) => {
        file.append(buffer);
        this.#touch(file);
      },
      sync: async () => undefined,
      close: async () => undefined,
    };
  }

  #find(path: string): MemoryFolder | MemoryFile | null {
    let at: MemoryFolder | MemoryFile | undefined = this.#root;
    for (const name of path.split('/')) at = at instanceof MemoryFolder ? at.children.get(name) : undefined;
    return at ?? null;
  }

  #file(path: string): MemoryFile | null {
    const found = this.#find(path);
    return found instanceof MemoryFile ? found : null;
  }

  /** Gives a file a name, in place of a file that has it. Creates folders. */
  #name(path: string, file: MemoryFile): void {
    const names = path.split('/');
    const last = names.pop() ?? '';
    if ([...names, last].some((name) => Buffer.byteLength(name) > NAME_BYTES_MAX)) {
      throw new StorageError('invalid', path);
    }
    let folder = this.#root;
    for (const name of names) {
      const child = folder.children.get(name) ?? new MemoryFolder();
      if (child instanceof MemoryFile) throw new StorageError('exists', path);
      folder.children.set(name, child);
      folder = child;
    }
    const replaced = folder.children.get(last);
    if (replaced instanceof MemoryFolder) throw new StorageError('exists', path);
    if (replaced !== undefined) replaced.names -= 1;
    folder.children.set(last, file);
    file.names += 1;
    this.#touch(file);
  }

  #unname(path: string): void {
    const slash = path.lastIndexOf('/');
    const folder = slash < 0 ? this.#root : this.#find(path.slice(0, slash));
    if (!(folder instanceof MemoryFolder)) return;
    const removed = folder.children.get(path.slice(slash + 1));
    if (removed instanceof MemoryFile) removed.names -= 1;
    folder.children.delete(path.slice(slash + 1));
  }

  #touch(file: MemoryFile): void {
    this.#changes += 1;
    file.version = this.#changes;
    file.modifiedMs = Date.now();
  }
}

function statOf(file: MemoryFile): FileStat {
  const { sizeBytes, modifiedMs, names, version, identity } = file;
  return { sizeBytes, modifiedMs, names, fingerprint: `v${version}`, identity };
}
