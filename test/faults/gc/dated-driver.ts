import type { FileStat, FileWriter, StorageDriver } from '#storage';

/** Any driver, with its files dated by the clock of a test. What two names share is dated by the last of them. */
export class DatedDriver implements StorageDriver {
  readonly name: string;
  readonly flags: StorageDriver['flags'];
  #inner: StorageDriver;
  #nowMs: () => number;
  #modifiedMs = new Map<string, number>();

  constructor(inner: StorageDriver, nowMs: () => number) {
    this.name = inner.name;
    this.flags = inner.flags;
    this.#inner = inner;
    this.#nowMs = nowMs;
  }

  readonly read: StorageDriver['read'] = (...args) => this.#inner.read(...args);
  readonly openReader: StorageDriver['openReader'] = (...args) => this.#inner.openReader(...args);
  readonly list: StorageDriver['list'] = (...args) => this.#inner.list(...args);
  readonly delete: StorageDriver['delete'] = (...args) => this.#inner.delete(...args);
  readonly removeEmptyFolder: StorageDriver['removeEmptyFolder'] = (...args) =>
    this.#inner.removeEmptyFolder(...args);
  readonly freeSpace: StorageDriver['freeSpace'] = () => this.#inner.freeSpace();
  readonly close: StorageDriver['close'] = () => this.#inner.close();

  async stat(path: string): Promise<FileStat | null> {
    const found = await this.#inner.stat(path);
    const modifiedMs = this.#modifiedMs.get(path);
    return found === null || modifiedMs === undefined ? found : { ...found, modifiedMs };
  }

  async put(...[path, chunks, options]: Parameters<StorageDriver['put']>): Promise<FileStat> {
    const stat = await this.#inner.put(path, chunks, options);
    return { ...stat, modifiedMs: this.#date(path) };
  }

  async createWriter(path: string): Promise<FileWriter> {
    const writer = await this.#inner.createWriter(path);
    this.#date(path);
    return this.#writer(path, writer);
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    const writer = await this.#inner.openWriter(path);
    return writer === null ? null : this.#writer(path, writer);
  }

  async move(...[from, to, options]: Parameters<StorageDriver['move']>): Promise<void> {
    const modifiedMs = this.#modifiedMs.get(from);
    if (modifiedMs !== undefined) this.#modifiedMs.set(to, modifiedMs);
    await this.#inner.move(from, to, options);
  }

  async link(...[from, to, options]: Parameters<StorageDriver['link']>): Promise<void> {
    await this.#inner.link(from, to, options);
    this.#date(from);
    this.#date(to);
  }

  #date(path: string): number {
    const nowMs = Math.floor(this.#nowMs());
    this.#modifiedMs.set(path, nowMs);
    return nowMs;
  }

  #writer(path: string, writer: FileWriter): FileWriter {
    return {
      get sizeBytes() {
        return writer.sizeBytes;
      },
      write: async (buffer) => {
        await writer.write(buffer);
        this.#date(path);
      },
      sync: () => writer.sync(),
      close: () => writer.close(),
    };
  }
}
