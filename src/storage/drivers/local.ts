import { constants } from 'node:fs';
import { copyFile, link, open, opendir, rename, stat, statfs, unlink, utimes } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
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
import { isAbsent, localError, systemCode } from './local-errors.ts';
import { LocalReader, LocalWriter, localStat } from './local-files.ts';
import { LocalFolders } from './local-folders.ts';

const FILE_MODE = 0o600;

/**
 * Files in a folder of this machine.
 *
 * Order of writes of `put`, `move` and `link` when durable: bytes into a staged file, fsync of that file,
 * rename over the name, fsync of the folder that holds the name. A failed fsync is final for the file: it is
 * removed and the call fails, since the kernel may have dropped the pages that a second fsync would report good.
 */
export class LocalDriver implements StorageDriver {
  readonly name = 'local';
  readonly flags: DriverFlags = { hardLinks: true, conditionalPut: false };
  #root: string;
  #folders = new LocalFolders();

  constructor(root: string) {
    this.#root = resolve(root);
  }

  async stat(path: string): Promise<FileStat | null> {
    try {
      const found = await stat(this.#absolute(path), { bigint: true });
      return found.isFile() ? localStat(found) : null;
    } catch (error) {
      return absent(error, path);
    }
  }

  async read(path: string, sizeBytesMax: number): Promise<Buffer | null> {
    const reader = await this.openReader(path);
    if (reader === null) return null;
    try {
      if (reader.sizeBytes > sizeBytesMax) throw new StorageError('invalid', path, { message: `too large: ${path}` });
      const buffer = Buffer.allocUnsafe(reader.sizeBytes);
      const filled = await reader.read(buffer, 0);
      return filled === buffer.length ? buffer : buffer.subarray(0, filled);
    } finally {
      await reader.close();
    }
  }

  async openReader(path: string): Promise<FileReader | null> {
    let handle: FileHandle;
    try {
      handle = await open(this.#absolute(path), constants.O_RDONLY);
    } catch (error) {
      return absent(error, path);
    }
    return new LocalReader(handle, path);
  }

  async *list(path: string): AsyncIterable<ListEntry> {
    try {
      // Links to folders count as folders, as a reader of the layout would see them.
      for await (const entry of await opendir(this.#absolute(path), { bufferSize: 256 })) {
        const followed = entry.isSymbolicLink() ? await this.#followed(join(path, entry.name)) : entry;
        if (followed?.isDirectory()) yield { name: entry.name, kind: 'folder' };
        else if (followed?.isFile()) yield { name: entry.name, kind: 'file' };
      }
    } catch (error) {
      if (!isAbsent(error)) throw localError(error, path);
    }
  }

  async put(path: string, chunks: readonly Buffer[], options: PutOptions): Promise<FileStat> {
    const target = this.#absolute(path);
    const staged = this.#absolute(options.stagingPath);
    const handle = await this.#create(options.stagingPath, options.durable);
    try {
      try {
        for (const buffers of grouped(chunks)) await writeAll(handle, buffers);
        if (options.durable) await handle.sync();
        await this.#requireVersion(path, options);
        await this.#renameInto(staged, target, options.durable);
        // After the rename, so that the fingerprint has the change time that other readers will see.
        const result = localStat(await handle.stat({ bigint: true }));
        if (options.durable) await this.#folders.sync(dirname(target));
        return result;
      } finally {
        await handle.close();
      }
    } catch (error) {
      await this.#discard(staged);
      throw localError(error, path);
    }
  }

  async createWriter(path: string): Promise<FileWriter> {
    return new LocalWriter(await this.#create(path, false), path, 0);
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    let handle: FileHandle;
    try {
      handle = await open(this.#absolute(path), constants.O_WRONLY);
    } catch (error) {
      return absent(error, path);
    }
    const { size } = await handle.stat();
    return new LocalWriter(handle, path, size);
  }

  async move(from: string, to: string, options: DurabilityOptions): Promise<void> {
    const target = this.#absolute(to);
    try {
      await this.#renameInto(this.#absolute(from), target, options.durable);
      if (options.durable) await this.#folders.sync(dirname(target));
    } catch (error) {
      throw localError(error, from);
    }
  }

  async link(from: string, to: string, options: PutOptions): Promise<void> {
    const source = this.#absolute(from);
    const target = this.#absolute(to);
    const staged = this.#absolute(options.stagingPath);
    try {
      await this.#folders.ensure(dirname(staged), options.durable);
      await this.#shareOrCopy(source, staged, options.durable);
      // zot's collector judges the age of a blob by this time, and a link shares it with all its names.
      const now = new Date();
      await utimes(staged, now, now);
      await this.#renameInto(staged, target, options.durable);
      // Renaming one link of an inode over another does nothing and leaves both names (POSIX rename).
      await this.#discard(staged);
      if (options.durable) await this.#folders.sync(dirname(target));
    } catch (error) {
      await this.#discard(staged);
      throw localError(error, from);
    }
  }

  async delete(path: string, options: DurabilityOptions): Promise<boolean> {
    const target = this.#absolute(path);
    try {
      await unlink(target);
      if (options.durable) await this.#folders.sync(dirname(target));
      return true;
    } catch (error) {
      return absent(error, path) ?? false;
    }
  }

  async freeSpace(): Promise<{ freeBytes: number; totalBytes: number } | null> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#root);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    } catch (error) {
      return absent(error, '');
    }
  }

  async close(): Promise<void> {
    // Nothing is held open between calls.
  }

  #absolute(path: string): string {
    return join(this.#root, path);
  }

  async #followed(path: string) {
    try {
      return await stat(this.#absolute(path));
    } catch (error) {
      return absent(error, path);
    }
  }

  /** Creates a file; a folder that was remembered but is gone is made again. */
  async #create(path: string, durable: boolean): Promise<FileHandle> {
    const absolute = this.#absolute(path);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    try {
      await this.#folders.ensure(dirname(absolute), durable);
      try {
        return await open(absolute, flags, FILE_MODE);
      } catch (error) {
        if (!isAbsent(error)) throw error;
        this.#folders.forget(dirname(absolute));
        await this.#folders.ensure(dirname(absolute), durable);
        return await open(absolute, flags, FILE_MODE);
      }
    } catch (error) {
      throw localError(error, path);
    }
  }

  /** Renames into a folder that may have to be made, or that was remembered and is gone. */
  async #renameInto(from: string, target: string, durable: boolean): Promise<void> {
    const folder = dirname(target);
    await this.#folders.ensure(folder, durable);
    try {
      await rename(from, target);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      this.#folders.forget(folder);
      await this.#folders.ensure(folder, durable);
      await rename(from, target);
    }
  }

  async #requireVersion(path: string, options: PutOptions): Promise<void> {
    if (options.ifFingerprint === undefined) return;
    const found = await this.stat(path);
    if ((found?.fingerprint ?? null) !== options.ifFingerprint) throw new StorageError('conflict', path);
  }

  async #shareOrCopy(source: string, staged: string, durable: boolean): Promise<void> {
    try {
      await link(source, staged);
    } catch (error) {
      // Too many links, another file system, or one that has no links: a copy serves as well.
      if (!['EMLINK', 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP'].includes(systemCode(error))) throw error;
      await copyFile(source, staged, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      if (!durable) return;
      const handle = await open(staged, 'r+');
      await handle.sync().finally(() => handle.close());
    }
  }

  async #discard(staged: string): Promise<void> {
    try {
      await unlink(staged);
    } catch (error) {
      if (!isAbsent(error)) throw localError(error, staged);
    }
  }
}

/** Turns "nothing is there" into null and translates every other failure. */
function absent(error: unknown, path: string): null {
  if (isAbsent(error)) return null;
  throw localError(error, path);
}

/** writev takes at most 1,024 buffers. */
function* grouped(chunks: readonly Buffer[]): Iterable<Buffer[]> {
  for (let at = 0; at < chunks.length; at += 1024) yield chunks.slice(at, at + 1024);
}

async function writeAll(handle: FileHandle, buffers: Buffer[]): Promise<void> {
  let rest = buffers;
  while (rest.length > 0) {
    let { bytesWritten } = await handle.writev(rest);
    const next: Buffer[] = [];
    for (const buffer of rest) {
      if (bytesWritten >= buffer.length) bytesWritten -= buffer.length;
      else {
        next.push(buffer.subarray(bytesWritten));
        bytesWritten = 0;
      }
    }
    rest = next;
  }
}
