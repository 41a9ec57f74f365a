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
  StorageFault,
} from '../driver.ts';
import { BLOBS_FOLDER, INDEX_FILE, LAYOUT_FILE, UPLOADS_FOLDER } from '../paths.ts';

/** The driver's methods, and those of the files it opens. */
export type DriverOperation =
  | 'stat'
  | 'read'
  | 'openReader'
  | 'readRange'
  | 'list'
  | 'put'
  | 'createWriter'
  | 'openWriter'
  | 'append'
  | 'sync'
  | 'move'
  | 'link'
  | 'delete'
  | 'removeEmptyFolder'
  | 'freeSpace';

/** What a path is for; few values, so that counts can be kept by them. `other`: roots, folders and foreign files. */
export type PathKind = 'blob' | 'index' | 'layout' | 'upload' | 'other';

/**
 * Hears of every call when it has ended: how long the driver took (milliseconds with fractions; for a listing
 * without the time that its reader took) and how it failed, if it did. For `move` and `link` the kind is that of the
 * target. It must not throw.
 */
export type DriverObserver = (
  operation: DriverOperation,
  kind: PathKind,
  durationMs: number,
  fault: StorageFault | null,
) => void;

/** Any driver, with its calls observed and its name in front of the messages of its faults. */
export class ObservedDriver implements StorageDriver {
  readonly name: string;
  readonly flags: DriverFlags;
  #inner: StorageDriver;
  #observer: DriverObserver;

  constructor(inner: StorageDriver, observer: DriverObserver) {
    this.name = inner.name;
    this.flags = inner.flags;
    this.#inner = inner;
    this.#observer = observer;
  }

  stat(path: string): Promise<FileStat | null> {
    return this.#observed('stat', path, () => this.#inner.stat(path));
  }

  read(path: string, sizeBytesMax: number): Promise<Buffer | null> {
    return this.#observed('read', path, () => this.#inner.read(path, sizeBytesMax));
  }

  async openReader(path: string): Promise<FileReader | null> {
    const reader = await this.#observed('openReader', path, () => this.#inner.openReader(path));
    if (reader === null) return null;
    return {
      sizeBytes: reader.sizeBytes,
      modifiedMs: reader.modifiedMs,
      read: (buffer, position) => this.#observed('readRange', path, () => reader.read(buffer, position)),
      close: () => this.#named(() => reader.close()),
    };
  }

  async *list(path: string): AsyncIterable<ListEntry> {
    const entries = this.#inner.list(path)[Symbol.asyncIterator]();
    let durationMs = 0;
    let fault: StorageFault | null = null;
    try {
      for (;;) {
        const startedMs = performance.now();
        const next = await entries.next();
        durationMs += performance.now() - startedMs;
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      fault = faultOf(error);
      throw this.#withName(error);
    } finally {
      await entries.return?.();
      this.#observer('list', kindOf(path), durationMs, fault);
    }
  }

  put(path: string, chunks: readonly Buffer[], options: PutOptions): Promise<FileStat> {
    return this.#observed('put', path, () => this.#inner.put(path, chunks, options));
  }

  async createWriter(path: string): Promise<FileWriter> {
    const writer = await this.#observed('createWriter', path, () => this.#inner.createWriter(path));
    return this.#writer(path, writer);
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    const writer = await this.#observed('openWriter', path, () => this.#inner.openWriter(path));
    return writer === null ? null : this.#writer(path, writer);
  }

  move(from: string, to: string, options: DurabilityOptions): Promise<void> {
    return this.#observed('move', to, () => this.#inner.move(from, to, options));
  }

  link(from: string, to: string, options: PutOptions): Promise<void> {
    return this.#observed('link', to, () => this.#inner.link(from, to, options));
  }

  delete(path: string, options: DurabilityOptions): Promise<boolean> {
    return this.#observed('delete', path, () => this.#inner.delete(path, options));
  }

  removeEmptyFolder(path: string): Promise<boolean> {
    return this.#observed('removeEmptyFolder', path, () => this.#inner.removeEmptyFolder(path));
  }

  freeSpace(): Promise<{ freeBytes: number; totalBytes: number } | null> {
    return this.#observed('freeSpace', '', () => this.#inner.freeSpace());
  }

  close(): Promise<void> {
    return this.#named(() => this.#inner.close());
  }

  #writer(path: string, writer: FileWriter): FileWriter {
    return {
      get sizeBytes() {
        return writer.sizeBytes;
      },
      write: (buffer) => this.#observed('append', path, () => writer.write(buffer)),
      sync: () => this.#observed('sync', path, () => writer.sync()),
      close: () => this.#named(() => writer.close()),
    };
  }

  async #observed<Result>(
    operation: DriverOperation,
    path: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const startedMs = performance.now();
    let fault: StorageFault | null = null;
    try {
      return await work();
    } catch (error) {
      fault = faultOf(error);
      throw this.#withName(error);
    } finally {
      this.#observer(operation, kindOf(path), performance.now() - startedMs, fault);
    }
  }

  async #named<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw this.#withName(error);
    }
  }

  /** The same fault, saying whose it is. What is no fault of a store is a bug, and passes as it is. */
  #withName(error: unknown): unknown {
    if (!(error instanceof StorageError)) return error;
    return new StorageError(error.fault, error.path, {
      message: `${this.name}: ${error.message}`,
      cause: error,
    });
  }
}

function faultOf(error: unknown): StorageFault {
  return error instanceof StorageError ? error.fault : 'unavailable';
}

/** What a path of the store is for (see paths.ts). */
export function kindOf(path: string): PathKind {
  if (path.endsWith(`/${INDEX_FILE}`)) return 'index';
  if (path.endsWith(`/${LAYOUT_FILE}`)) return 'layout';
  if (path.includes(`/${BLOBS_FOLDER}/`)) return 'blob';
  return path.includes(`/${UPLOADS_FOLDER}/`) ? 'upload' : 'other';
}
