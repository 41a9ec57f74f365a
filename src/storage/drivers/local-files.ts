import type { BigIntStats, Stats } from 'node:fs';
import type { FileReader, FileStat, FileWriter } from '../driver.ts';
import type { DirectFile } from './direct-file.ts';
import type { OpenFile } from './file-system.ts';
import { localError } from './local-errors.ts';

/** Size, inode, mtime and ctime in nanoseconds: any replacement or change of a file alters one of them. */
export function localStat(stat: BigIntStats): FileStat {
  return {
    sizeBytes: Number(stat.size),
    modifiedMs: Number(stat.mtimeNs / 1_000_000n),
    fingerprint: `${stat.size}-${stat.ino}-${stat.mtimeNs}-${stat.ctimeNs}`,
    names: Number(stat.nlink),
    identity: `${stat.dev}-${stat.ino}`,
  };
}

export class LocalReader implements FileReader {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  #handle: OpenFile;
  #path: string;

  constructor(handle: OpenFile, path: string, stat: Stats) {
    this.sizeBytes = stat.size;
    this.modifiedMs = Math.trunc(stat.mtimeMs);
    this.#handle = handle;
    this.#path = path;
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    try {
      let filled = 0;
      while (filled < buffer.length) {
        const { bytesRead } = await this.#handle.read(
          buffer,
          filled,
          buffer.length - filled,
          position + filled,
        );
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    } catch (error) {
      throw localError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#handle.close();
    } catch (error) {
      throw localError(error, this.#path);
    }
  }
}

export interface LocalWriterParts {
  readonly handle: OpenFile;
  /** The same file past the page cache. */
  readonly direct: DirectFile;
  /** For messages. */
  readonly path: string;
  readonly sizeBytes: number;
}

export class LocalWriter implements FileWriter {
  sizeBytes: number;
  #handle: OpenFile;
  #direct: DirectFile;
  #path: string;

  constructor({ handle, direct, path, sizeBytes }: LocalWriterParts) {
    this.#handle = handle;
    this.#direct = direct;
    this.#path = path;
    this.sizeBytes = sizeBytes;
  }

  async write(buffer: Buffer): Promise<void> {
    try {
      for (let offset = 0; offset < buffer.length;) {
        const bytes =
          (await this.#direct.write(buffer, offset, this.sizeBytes)) || (await this.#append(buffer, offset));
        offset += bytes;
        this.sizeBytes += bytes;
      }
    } catch (error) {
      throw localError(error, this.#path);
    }
  }

  async #append(buffer: Buffer, offset: number): Promise<number> {
    const length = buffer.length - offset;
    return (await this.#handle.write(buffer, offset, length, this.sizeBytes)).bytesWritten;
  }

  /** Covers what was written past the cache too: it is one file. */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw localError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    try {
      try {
        await this.#direct.close();
      } finally {
        await this.#handle.close();
      }
    } catch (error) {
      throw localError(error, this.#path);
    }
  }
}
