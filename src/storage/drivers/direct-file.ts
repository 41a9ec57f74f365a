import { constants } from 'node:fs';
import { BLOCK_BYTES } from '../driver.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { systemCode } from './local-errors.ts';

/** Less than this goes through the page cache: opening the file a second time would cost more than it saves. */
const WRITE_BYTES_MIN = 256 * 1024;
/** A disk is judged by the fastest of the writes of so many bytes: on a busy machine some take long on any disk. */
const JUDGED_BYTES_MIN = 8 * 1024 * 1024;
/** A disk that takes less, of one upload, is better used by the kernel, which writes many requests at once. */
const BYTES_PER_MS_MIN = 32 * 1024;

/** Absent on systems that have no such thing. */
const DIRECT_FLAG: number | undefined = constants.O_DIRECT;
/** What a file system answers that does not write past its cache, or not from this memory; or the file has moved. */
const NOT_DIRECTLY = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOENT'];

/**
 * The way past the page cache for a file that is being appended to: the disk fetches the bytes from the caller's
 * memory. That saves the copy, and the pages that it would need, which is most of what writing a large file costs;
 * `docs/performance.md` has the figures. It is durable no sooner than other writes: a sync of the file covers both.
 *
 * What cannot go this way is left to the caller, without an error: pieces that are small or not aligned, file
 * systems that refuse, disks that are too slow to be waited for.
 */
export class DirectFile {
  #files: FileSystem;
  #path: string;
  #file: OpenFile | null = null;
  #isUsable = DIRECT_FLAG !== undefined;
  #writtenBytes = 0;
  #fastestBytesPerMs = 0;

  /** `path`: absolute, of a file that exists. It is opened with the first write that may go this way. */
  constructor(files: FileSystem, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /**
   * Writes what can be written this way from `offset` of the buffer, and gives the bytes written: 0 when the next
   * ones have to go through the cache. Throws what the system answers when the disk is full or fails.
   */
  async write(buffer: Buffer, offset: number, position: number): Promise<number> {
    const rest = buffer.length - offset;
    if (!this.#isUsable || rest < WRITE_BYTES_MIN || position % BLOCK_BYTES !== 0) return 0;
    try {
      const startedMs = performance.now();
      this.#file ??= await this.#open();
      const { bytesWritten } = await this.#file.write(buffer, offset, rest - (rest % BLOCK_BYTES), position);
      this.#judge(bytesWritten, performance.now() - startedMs);
      return bytesWritten;
    } catch (error) {
      this.#isUsable = false;
      if (NOT_DIRECTLY.includes(systemCode(error))) return 0;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  #open(): Promise<OpenFile> {
    return this.#files.open(this.#path, constants.O_WRONLY | (DIRECT_FLAG ?? 0));
  }

  #judge(bytes: number, ms: number): void {
    this.#writtenBytes += bytes;
    this.#fastestBytesPerMs = Math.max(this.#fastestBytesPerMs, bytes / ms);
    if (this.#writtenBytes < JUDGED_BYTES_MIN) return;
    this.#isUsable = this.#fastestBytesPerMs >= BYTES_PER_MS_MIN;
    this.#writtenBytes = 0;
    this.#fastestBytesPerMs = 0;
  }
}
