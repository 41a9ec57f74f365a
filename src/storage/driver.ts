/**
 * The contract of a storage driver: durable bytes under paths. `driver-contract.suite.ts` is the suite that every
 * driver must pass; a third party can write a driver against these two files alone.
 *
 * Paths are relative, `/` between components, never empty, never with `.` or `..`: they come from `paths.ts`
 * and a driver may trust them. Absence is `null` (or an empty listing); every fault is a `StorageError`.
 */
export type StorageFault =
  | 'missing' // a thing that had to exist does not
  | 'exists' // a thing that had to be absent is there
  | 'full' // no space or no quota left
  | 'denied' // permission, or a read-only file system
  | 'unavailable' // the device or service failed; trying again may help
  | 'corrupt' // the bytes are not what they should be
  | 'invalid' // a name or size that the store cannot hold
  | 'conflict'; // a conditional replace lost to another writer

export class StorageError extends Error {
  readonly fault: StorageFault;
  readonly path: string;

  constructor(fault: StorageFault, path: string, options: { cause?: unknown; message?: string } = {}) {
    super(options.message ?? `${fault}: ${path}`, { cause: options.cause });
    this.name = 'StorageError';
    this.fault = fault;
    this.path = path;
  }
}

/**
 * Identifies one version of a file's content: changes whenever another writer replaced or changed the file.
 * Where `hardLinks` is set, names that share their bytes have one fingerprint, and others have not.
 * Local files: size, inode, mtime and ctime in nanoseconds; object stores: the ETag or generation.
 */
export type Fingerprint = string;

export interface FileStat {
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number;
  readonly fingerprint: Fingerprint;
  /** How many names these bytes have, where the store shares bytes and knows it. */
  readonly names?: number;
  /** The same for names that share their bytes by `link`; absent where no two names do. */
  readonly identity?: string;
}

/** An open file. Reads are by position, so that one reader serves any range. */
export interface FileReader {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /**
   * Fills `buffer` from `position` (bytes from the start) and gives the number of bytes read,
   * less than the buffer's length only at the end of the file.
   */
  read(buffer: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Writes that begin at a multiple of this, in the file and in memory, may cost a driver less. */
export const BLOCK_BYTES = 4096;

/** A file being appended to. What `write` took may be lost until `sync` has returned. */
export interface FileWriter {
  /** Bytes in the file, those of earlier writers included. */
  readonly sizeBytes: number;
  /** Appends the whole buffer; the caller must not change it before the promise settles. */
  write(buffer: Buffer): Promise<void>;
  /** Makes everything written so far durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface ListEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
}

export interface PutOptions {
  /** Return only when content and name are durable. */
  readonly durable: boolean;
  /** Where a driver may stage bytes before they get their name; object stores ignore it. */
  readonly stagingPath: string;
  /** Replace only this version (`null`: only if absent); otherwise throw `conflict`. Absent: replace any. */
  readonly ifFingerprint?: Fingerprint | null;
  /** For `link`: throw `invalid` instead of copying where the bytes cannot be shared (too many links). */
  readonly mustShare?: boolean;
  /** For `link`: the caller knows that the bytes of `from` are durable already. */
  readonly sourceIsDurable?: boolean;
}

export interface DurabilityOptions {
  readonly durable: boolean;
}

/** What a driver can do beyond the methods; callers branch on these, never on the driver's name. */
export interface DriverFlags {
  /** `link` shares bytes instead of copying them. */
  readonly hardLinks: boolean;
  /** `put` with `ifFingerprint` is atomic between processes; needed to serve one store from several hosts. */
  readonly conditionalPut: boolean;
}

export interface StorageDriver {
  /** For messages: `local`, `memory`, `s3`. */
  readonly name: string;
  readonly flags: DriverFlags;
  stat(path: string): Promise<FileStat | null>;
  /** The whole file, or `null`; a file larger than `sizeBytesMax` is refused with `invalid`. */
  read(path: string, sizeBytesMax: number): Promise<Buffer | null>;
  openReader(path: string): Promise<FileReader | null>;
  /** The direct children of a folder in no order; nothing for a folder that does not exist. */
  list(path: string): AsyncIterable<ListEntry>;
  /** Replaces a whole file atomically: every reader sees the old bytes or the new ones. Creates folders. */
  put(path: string, chunks: readonly Buffer[], options: PutOptions): Promise<FileStat>;
  /** Creates an empty file that must not exist and opens it for appending. Creates folders. */
  createWriter(path: string): Promise<FileWriter>;
  /** Opens an existing file for appending; `null` when there is none. */
  openWriter(path: string): Promise<FileWriter | null>;
  /** Renames a file over whatever is there. `missing` when there is no `from`. Creates folders. */
  move(from: string, to: string, options: DurabilityOptions): Promise<void>;
  /**
   * Makes `to` hold the bytes of `from`, replacing what is there atomically, by sharing them where `hardLinks`
   * is set. `stagingPath` as in `put`. `missing` when there is no `from`.
   */
  link(from: string, to: string, options: PutOptions): Promise<void>;
  /**
   * For stores on this machine: makes `to`, which must not exist, share the bytes of a file outside of the store, by
   * its absolute path; gives whether that could be done. With `durable` these bytes are on the disk then.
   */
  adopt?(file: string, to: string, options: DurabilityOptions): Promise<boolean>;
  /** Removes a file; gives whether there was one. */
  delete(path: string, options: DurabilityOptions): Promise<boolean>;
  /** Removes a folder that holds nothing; gives whether it did. Stores without folders have nothing to do. */
  removeEmptyFolder(path: string): Promise<boolean>;
  /** Bytes free for new content and in all; `null` where the store has no such number. */
  freeSpace(): Promise<{ freeBytes: number; totalBytes: number } | null>;
  close(): Promise<void>;
}
