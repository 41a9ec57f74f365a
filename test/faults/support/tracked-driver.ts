import type { FileReader, FileWriter, StorageDriver } from '#storage';

/** Knows which files are open, so that a test can tell a registry that forgets one, and clean up after it. */
export class TrackedDriver implements StorageDriver {
  readonly name: string;
  readonly flags: StorageDriver['flags'];
  #inner: StorageDriver;
  #open = new Set<FileReader | FileWriter>();

  constructor(inner: StorageDriver) {
    this.name = inner.name;
    this.flags = inner.flags;
    this.#inner = inner;
  }

  get openFiles(): number {
    return this.#open.size;
  }

  async closeAll(): Promise<void> {
    const open = [...this.#open];
    this.#open.clear();
    await Promise.all(open.map((file) => file.close()));
  }

  readonly stat: StorageDriver['stat'] = (...args) => this.#inner.stat(...args);
  readonly read: StorageDriver['read'] = (...args) => this.#inner.read(...args);
  readonly list: StorageDriver['list'] = (...args) => this.#inner.list(...args);
  readonly put: StorageDriver['put'] = (...args) => this.#inner.put(...args);
  readonly move: StorageDriver['move'] = (...args) => this.#inner.move(...args);
  readonly link: StorageDriver['link'] = (...args) => this.#inner.link(...args);
  readonly delete: StorageDriver['delete'] = (...args) => this.#inner.delete(...args);
  readonly removeEmptyFolder: StorageDriver['removeEmptyFolder'] = (path) =>
    this.#inner.removeEmptyFolder(path);
  readonly freeSpace: StorageDriver['freeSpace'] = () => this.#inner.freeSpace();
  readonly close: StorageDriver['close'] = () => this.#inner.close();

  async openReader(path: string): Promise<FileReader | null> {
    const reader = await this.#inner.openReader(path);
    if (reader === null) return null;
    const tracked: FileReader = {
      sizeBytes: reader.sizeBytes,
      modifiedMs: reader.modifiedMs,
      read: (buffer, position) => reader.read(buffer, position),
      close: () => this.#close(tracked, reader),
    };
    this.#open.add(tracked);
    return tracked;
  }

  async createWriter(path: string): Promise<FileWriter> {
    return this.#writer(await this.#inner.createWriter(path));
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    const writer = await this.#inner.openWriter(path);
    return writer === null ? null : this.#writer(writer);
  }

  #writer(writer: FileWriter): FileWriter {
    const tracked: FileWriter = {
      get sizeBytes() {
        return writer.sizeBytes;
      },
      write: (buffer) => writer.write(buffer),
      sync: () => writer.sync(),
      close: () => this.#close(tracked, writer),
    };
    this.#open.add(tracked);
    return tracked;
  }

  async #close(tracked: FileReader | FileWriter, file: FileReader | FileWriter): Promise<void> {
    this.#open.delete(tracked);
    await file.close();
  }
}
