import { constants, fstatSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
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
import { DirectFile } from './direct-file.ts';
import { nodeFileSystem } from './file-system.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { isAbsent, localError, systemCode } from './local-errors.ts';
import { LocalReader, LocalWriter, localStat } from './local-files.ts';
import { LocalFolders } from './local-folders.ts';

const FILE_MODE = 0o600;

/** A named pipe in a foreign folder must not hold a thread for ever. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;
const CREATE_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/** Why a hard link cannot be made, or not be dated, although the bytes can be copied. */
const NO_LINK = ['EMLINK', 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP'];

/** Why a folder stays: something is in it. */
const NOT_EMPTY = ['ENOTEMPTY', 'EEXIST', 'EBUSY'];

/**
 * Files in a folder of this machine.
 *
 * Order of writes when durable. `put`: bytes into a staged file, fsync of that file, rename over the name, fsync of
 * the folder that holds the name. `link`: fsync of the source, a link to it (staged and renamed where the name is
 * taken), fsync of the folder. `move`: rename and fsync of the folder; the bytes are as durable as their writer made
 * them. A folder that is new, or whose name this process never synced, is synced into its parent before it holds
 * anything. A failed fsync is final for the file: it is removed and the call fails, since the kernel may have dropped
 * the pages that a second fsync would report good.
 */
export class LocalDriver implements StorageDriver {
  readonly name = 'local';
  readonly flags: DriverFlags = { hardLinks: true, conditionalPut: false };
  #root: string;
  #files: FileSystem;
  #folders: LocalFolders;

  constructor(root: string, files: FileSystem = nodeFileSystem) {
    this.#root = resolve(root);
    this.#files = files;
    this.#folders = new LocalFolders(this.#root, files);
  }

  async stat(path: string): Promise<FileStat | null> {
    try {
      const found = await this.#files.stat(this.#absolute(path), { bigint: true });
      return found.isFile() ? localStat(found) : null;
    } catch (error) {
      return absent(error, path);
    }
  }

  async read(path: string, sizeBytesMax: number): Promise<Buffer | null> {
    const reader = await this.openReader(path);
    if (reader === null) return null;
    try {
      if (reader.sizeBytes > sizeBytesMax)
        throw new StorageError('invalid', path, { message: `too large: ${path}` });
      const buffer = Buffer.allocUnsafe(reader.sizeBytes);
      const filled = await reader.read(buffer, 0);
      return filled === buffer.length ? buffer : buffer.subarray(0, filled);
    } finally {
      await reader.close();
    }
  }

  async openReader(path: string): Promise<FileReader | null> {
    try {
      const handle = await this.#files.open(this.#absolute(path), READ_FLAGS);
      // The file is open: this stat touches only memory, and costs less than a trip to the thread pool.
      const stat = fstatSync(handle.fd);
      if (stat.isFile()) return new LocalReader(handle, path, stat);
      await handle.close();
      return null;
    } catch (error) {
      return absent(error, path);
    }
  }

  async *list(path: string): AsyncIterable<ListEntry> {
    try {
      // Links to folders count as folders, as a reader of the layout would see them.
      for await (const entry of await this.#files.opendir(this.#absolute(path), { bufferSize: 256 })) {
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
    const handle = await this.#create(options.stagingPath);
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
      throw await this.#discarding(staged, localError(error, path));
    }
  }

  async createWriter(path: string): Promise<FileWriter> {
    return this.#writer(await this.#create(path), path, 0);
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    try {
      const handle = await this.#files.open(this.#absolute(path), constants.O_WRONLY | constants.O_NONBLOCK);
      return this.#writer(handle, path, fstatSync(handle.fd).size);
    } catch (error) {
      return absent(error, path);
    }
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
    const target = this.#absolute(to);
    const staged = this.#absolute(options.stagingPath);
    try {
      const source = this.#absolute(from);
      if (options.durable && options.sourceIsDurable !== true) await this.#syncFile(source);
      if (!(await this.#linkAnew(source, target, options.durable))) {
        await this.#stageCopy(source, staged, options);
        await this.#renameInto(staged, target, options.durable);
        // Renaming one link of an inode over another does nothing and leaves both names (POSIX rename).
        await this.#unlinkIfThere(staged);
      }
      if (options.durable) await this.#folders.sync(dirname(target));
    } catch (error) {
      throw await this.#discarding(staged, localError(error, from));
    }
  }

  async adopt(file: string, to: string, options: DurabilityOptions): Promise<boolean> {
    const target = this.#absolute(to);
    try {
      // A second name for a symbolic link would go on depending on what it leads to.
      const source = await realpath(file);
      if (options.durable) await this.#syncFile(source);
      await this.#inFolder(dirname(target), false, () => this.#files.link(source, target));
      return true;
    } catch (error) {
      if (isAbsent(error) || NO_LINK.includes(systemCode(error))) return false;
      throw localError(error, to);
    }
  }

  async delete(path: string, options: DurabilityOptions): Promise<boolean> {
    const target = this.#absolute(path);
    try {
      await this.#files.unlink(target);
      if (options.durable) await this.#folders.sync(dirname(target));
      return true;
    } catch (error) {
      return absent(error, path) ?? false;
    }
  }

  async removeEmptyFolder(path: string): Promise<boolean> {
    const folder = this.#absolute(path);
    try {
      await this.#files.rmdir(folder);
      this.#folders.forget(folder);
      return true;
    } catch (error) {
      if (isAbsent(error) || NOT_EMPTY.includes(systemCode(error))) return false;
      throw localError(error, path);
    }
  }

  async freeSpace(): Promise<{ freeBytes: number; totalBytes: number } | null> {
    try {
      const { bavail, blocks, bsize } = await this.#files.statfs(this.#root);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    } catch (error) {
      return absent(error, '');
    }
  }

  async close(): Promise<void> {
    // Nothing is held open between calls.
  }

  #writer(handle: OpenFile, path: string, sizeBytes: number): LocalWriter {
    return new LocalWriter({
      handle,
      direct: new DirectFile(this.#files, this.#absolute(path)),
      path,
      sizeBytes,
    });
  }

  #absolute(path: string): string {
    return join(this.#root, path);
  }

  async #followed(path: string) {
    try {
      return await this.#files.stat(this.#absolute(path), { bigint: true });
    } catch (error) {
      return absent(error, path);
    }
  }

  /** Creates a file; a folder that was remembered but is gone is made again. Its name is durable only when renamed. */
  async #create(path: string): Promise<OpenFile> {
    const absolute = this.#absolute(path);
    const create = () => this.#files.open(absolute, CREATE_FLAGS, FILE_MODE);
    try {
      return await this.#inFolder(dirname(absolute), false, create);
    } catch (error) {
      throw localError(error, path);
    }
  }

  /** Renames into a folder that may have to be made. */
  #renameInto(from: string, target: string, durable: boolean): Promise<void> {
    return this.#inFolder(dirname(target), durable, () => this.#files.rename(from, target));
  }

  /** Does something in a folder that may have to be made, or that was remembered and is gone. */
  async #inFolder<Result>(folder: string, durable: boolean, work: () => Promise<Result>): Promise<Result> {
    await this.#folders.ensure(folder, durable);
    try {
      return await work();
    } catch (error) {
      if (!isAbsent(error)) throw error;
      this.#folders.forget(folder);
      await this.#folders.ensure(folder, durable);
      return await work();
    }
  }

  async #requireVersion(path: string, options: PutOptions): Promise<void> {
    if (options.ifFingerprint === undefined) return;
    const found = await this.stat(path);
    if ((found?.fingerprint ?? null) !== options.ifFingerprint) throw new StorageError('conflict', path);
  }

  /** Links where nothing is yet, in one step; gives whether that was so. */
  async #linkAnew(source: string, target: string, durable: boolean): Promise<boolean> {
    try {
      await this.#inFolder(dirname(target), durable, () => this.#files.link(source, target));
    } catch (error) {
      if (systemCode(error) === 'EEXIST' || NO_LINK.includes(systemCode(error))) return false;
      throw error;
    }
    try {
      await this.#renewTime(target);
      return true;
    } catch (error) {
      await this.#unlinkIfThere(target);
      if (NO_LINK.includes(systemCode(error))) return false;
      throw error;
    }
  }

  /** zot's collector judges the age of a blob by this time, and a link shares it with all its names. */
  async #renewTime(path: string): Promise<void> {
    const now = new Date();
    await this.#files.utimes(path, now, now);
  }

  /** A second name for the source's bytes, or, unless they must be shared, a copy where links cannot be had. */
  async #stageCopy(source: string, staged: string, options: PutOptions): Promise<void> {
    try {
      await this.#inFolder(dirname(staged), false, () => this.#files.link(source, staged));
      await this.#renewTime(staged);
    } catch (error) {
      if (!NO_LINK.includes(systemCode(error))) throw error;
      if (options.mustShare === true) throw new StorageError('invalid', staged, { cause: error });
      await this.#unlinkIfThere(staged);
      await this.#files.copyFile(source, staged, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      if (options.durable) await this.#syncFile(staged);
    }
  }

  async #syncFile(absolute: string): Promise<void> {
    const handle = await this.#files.open(absolute, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async #unlinkIfThere(absolute: string): Promise<void> {
    try {
      await this.#files.unlink(absolute);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  /** Removes what a failed call staged, and gives its fault: a second one must not hide the first. */
  async #discarding(staged: string, fault: StorageError): Promise<StorageError> {
    try {
      await this.#unlinkIfThere(staged);
      return fault;
    } catch (error) {
      const message = `${fault.message}; what was staged could not be removed (${systemCode(error)})`;
      return new StorageError(fault.fault, fault.path, { cause: fault, message });
    }
  }
}

/** Turns "no file is there" into null and translates every other failure. */
function absent(error: unknown, path: string): null {
  // A folder is no file.
  if (isAbsent(error) || systemCode(error) === 'EISDIR') return null;
  throw localError(error, path);
}

/** writev takes at most 1,024 buffers. */
function* grouped(chunks: readonly Buffer[]): Iterable<Buffer[]> {
  for (let at = 0; at < chunks.length; at += 1024) yield chunks.slice(at, at + 1024);
}

async function writeAll(handle: OpenFile, buffers: readonly Buffer[]): Promise<void> {
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
