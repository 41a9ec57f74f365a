import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, open, rm, rmdir, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BLOCK = Buffer.alloc(64 * 1024, 'f');

/** Mounted still, so that a test process that ends early leaves nothing behind. */
const mounted = new Set<string>();
process.on('exit', () => {
  for (const folder of mounted) spawnSync('umount', ['-l', folder]);
});

/** A file system of its own with little room, that can be filled to the last byte. */
export class SmallDisk {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Mounts one (root, Linux); gives the reason in words where that is not possible. */
  static async mount(sizeMegabytes: number): Promise<SmallDisk | string> {
    const folder = await mkdtemp(join(tmpdir(), 'zot-small-disk-'));
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMegabytes}m`, 'tmpfs', folder]);
      mounted.add(folder);
      return new SmallDisk(folder);
    } catch (error) {
      await rmdir(folder);
      return `no tmpfs can be mounted here: ${error instanceof Error ? error.message.trim() : String(error)}`;
    }
  }

  /** Takes all the room that is left, but for `leftBytes`. */
  async fill(leftBytes = 0): Promise<void> {
    const file = await open(join(this.folder, 'filler'), 'a');
    try {
      let block = BLOCK;
      while (block.length > 0 && (await this.freeBytes()) > leftBytes) {
        const wrote = await written(file, block);
        if (wrote < block.length) block = block.subarray(0, block.length >> 1);
      }
    } finally {
      await file.close();
    }
  }

  async free(): Promise<void> {
    await rm(join(this.folder, 'filler'), { force: true });
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder);
    return bavail * bsize;
  }

  /** From now on nothing can be written, as in a snapshot that is mounted to be read. */
  async makeReadOnly(): Promise<void> {
    await run('mount', ['-o', 'remount,ro', this.folder]);
  }

  async unmount(): Promise<void> {
    await run('umount', ['-l', this.folder]);
    mounted.delete(this.folder);
    await rmdir(this.folder);
  }
}

/** The bytes that fitted. */
async function written(file: FileHandle, block: Buffer): Promise<number> {
  try {
    return (await file.write(block)).bytesWritten;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return 0;
    throw error;
  }
}
