import type { BigIntStats, Stats } from 'node:fs';
import type { FileReader, FileStat, FileWriter } from '../driver.ts';
import type { OpenFile } from './file-system.ts';
import { localError } from './local-errors.ts';

/** Size, inode, mtime and ctime in nanoseconds: any replacement or change of a file alters one of them. */
export function localStat(stat: BigIntStats): FileStat {
  return {
    sizeBytes: Number(stat.size),
    modifiedMs: Number(stat.mtimeNs / 1_000_000n),
    fingerprint: `${stat.size}-${stat.ino}-${stat.mtimeNs}-${stat.ctimeNs}`,
    names: Number(stat.nlink),
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

export class LocalWriter implements FileWriter {
  sizeBytes: number;
  #handle: OpenFile;
  #path: string;

  constructor(handle: OpenFile, path: string, sizeBytes: number) {
    this.#handle = handle;
    this.#path = path;
    this.sizeBytes = sizeBytes;
  }

  async write(buffer: Buffer): Promise<void> {
    try {
      let written = 0;
      while (written < buffer.length) {
        const { bytesWritten } = await this.#handle.write(
          buffer,
          written,
          buffer.length - written,
          this.sizeBytes,
        );
        written += bytesWritten;
        this.sizeBytes += bytesWritten;
      }
    } catch (error) {
      throw localError(error, this.#path);
    }
  }

  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
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
