import type { BigIntStats, Dirent } from 'node:fs';
import {
  copyFile,
  link,
  mkdir,
  open,
  opendir,
  rename,
  rmdir,
  stat,
  statfs,
  unlink,
  utimes,
} from 'node:fs/promises';

/** An open file, as far as the local driver uses one. Node's `FileHandle` is one. */
export interface OpenFile {
  readonly fd: number;
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  write(buffer: Buffer, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  /** Appends, where the last `writev` ended; at most 1,024 buffers. */
  writev(buffers: readonly Buffer[]): Promise<{ bytesWritten: number }>;
  sync(): Promise<void>;
  stat(options: { bigint: true }): Promise<BigIntStats>;
  close(): Promise<void>;
}

/**
 * Every call of the file system that the local driver makes, so that tests can stand below its order of writes:
 * record them, to work out what a power cut may leave, or fail them one by one. Paths are absolute.
 */
export interface FileSystem {
  readonly open: (path: string, flags: number, mode?: number) => Promise<OpenFile>;
  readonly stat: (path: string, options: { bigint: true }) => Promise<BigIntStats>;
  readonly opendir: (path: string, options: { bufferSize: number }) => Promise<AsyncIterable<Dirent>>;
  /** Gives the first folder that had to be made, or nothing when all were there. */
  readonly mkdir: (path: string, options: { recursive: true; mode: number }) => Promise<string | undefined>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly link: (from: string, to: string) => Promise<void>;
  readonly copyFile: (from: string, to: string, mode: number) => Promise<void>;
  readonly utimes: (path: string, accessed: Date, modified: Date) => Promise<void>;
  readonly unlink: (path: string) => Promise<void>;
  readonly rmdir: (path: string) => Promise<void>;
  readonly statfs: (path: string) => Promise<{ bavail: number; blocks: number; bsize: number }>;
}

/** The file system of this machine. */
export const nodeFileSystem: FileSystem = {
  open,
  stat,
  opendir,
  mkdir,
  rename,
  link,
  copyFile,
  utimes,
  unlink,
  rmdir,
  statfs,
};
