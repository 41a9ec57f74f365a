import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isFullDatabase } from '../database-fault.ts';

const FILE = 'reserve';
/** Enough for the databases' journals and for the index.json of a repository with thousands of tags. */
const SIZE_BYTES = 1024 * 1024;
/** Room is taken again only where much more is free, so that nobody is deprived of it. */
const FREE_FACTOR = 8;
const RENEW_MS = 10_000;

/**
 * A file that only takes room, for the day when there is none left: deleting needs a little room before it frees any,
 * and so does opening the databases. Then the file is given up; later it is made again.
 */
export class DiskReserve {
  #folder: string;
  #lookedMs = -Infinity;
  #isThere = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Does something that needs a little room, once more with that of the reserve when there is no other. */
  async with<Result>(
    work: () => Result | Promise<Result>,
    isFull: (error: unknown) => boolean = isFullDatabase,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!isFull(error) || !(await this.#giveUp())) throw error;
      return await work();
    }
  }

  /** Gives whether there was any room to give up. */
  async #giveUp(): Promise<boolean> {
    this.#isThere = false;
    const found = await stat(this.#path).then(
      ({ size }) => size > 0,
      () => false,
    );
    await rm(this.#path, { force: true });
    return found;
  }

  /** Takes the room where there is plenty; looks for that at most every ten seconds. A disk that refuses is let be. */
  async renew(): Promise<void> {
    if (this.#isThere || performance.now() - this.#lookedMs < RENEW_MS) return;
    this.#lookedMs = performance.now();
    try {
      const { bavail, bsize } = await statfs(this.#folder);
      this.#isThere = bavail * bsize >= FREE_FACTOR * SIZE_BYTES && (await this.#take());
    } catch {
      // Without it deletes need room that is free: no reason to fail anything, also where nothing can be removed.
      await rm(this.#path, { force: true }).catch(() => undefined);
    }
  }

  get #path(): string {
    return join(this.#folder, FILE);
  }

  async #take(): Promise<boolean> {
    const file = await open(this.#path, 'w', 0o600);
    try {
      // Bytes that no file system can leave out.
      await file.write(Buffer.alloc(SIZE_BYTES, 'reserve '));
    } finally {
      await file.close();
    }
    return true;
  }
}
