import { execFile, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { findProgram } from '../../../../tools/debian-tools.ts';
import { startProcess, type RunningProcess } from '../../../support/process.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { applyWrite, readLog } from './disk-log.ts';
import type { DiskEvent, Tearing } from './disk-log.ts';

const run = promisify(execFile);

export interface FileSystemKind {
  readonly name: 'ext4' | 'xfs' | 'btrfs';
  /** The smallest that its tools make. */
  readonly sizeBytes: number;
  readonly options: readonly string[];
  /** What it trusts its disk to write as a whole or not at all. */
  readonly sectorBytes: number;
}

/** What becomes of the writes that no flush covers: none of them, each sector by chance, or all. */
export type Unflushed = 'lost' | 'torn' | 'kept';

const MOUNTED_TIMEOUT_MS = 20_000;
const mounts = new Set<string>();
process.on('exit', () => {
  for (const folder of mounts) spawnSync('umount', ['-l', folder]);
});

async function mount(folder: string, ...words: readonly string[]): Promise<void> {
  await run('mount', [...words, folder]);
  mounts.add(folder);
}

async function unmount(folder: string): Promise<void> {
  await run('umount', [folder]);
  mounts.delete(folder);
}

/**
 * A real file system on a block device whose every write and flush is recorded, to look at what a power cut at any of
 * them would leave: the kernel makes the device (loop) of a file that a process of ours serves (FUSE).
 */
export class RecordedDisk {
  readonly #folder: string;
  readonly #kind: FileSystemKind;
  #server: RunningProcess | null = null;
  #events: readonly DiskEvent[] = [];

  private constructor(folder: string, kind: FileSystemKind) {
    this.#folder = folder;
    this.#kind = kind;
  }

  /** Makes and mounts one; gives the reason in words where that is not possible. */
  static async mount(kind: FileSystemKind): Promise<RecordedDisk | string> {
    const whyNot = await missing(kind);
    if (whyNot !== null) return `no block device can be recorded here: ${whyNot}`;
    const disk = new RecordedDisk(await mkdtemp(join(tmpdir(), 'zot-recorded-')), kind);
    try {
      await disk.#start();
      return disk;
    } catch (error) {
      await disk.remove();
      const reason = error instanceof Error ? error.message.trim() : String(error);
      return `no block device can be recorded here: ${reason}`;
    }
  }

  async #start(): Promise<void> {
    const [image, log] = [this.#file('image'), this.#file('log')];
    for (const name of ['fuse', 'mounted', 'state']) await mkdir(this.#file(name));
    await writeFile(image, '');
    await truncate(image, this.#kind.sizeBytes);
    await run((await findProgram(`mkfs.${this.#kind.name}`)) ?? '', [...this.#kind.options, image]);
    await run('cp', ['--sparse=always', image, this.#file('durable')]);
    const program = join(import.meta.dirname, 'fuse-disk.ts');
    const words = [program, this.#file('fuse'), image, log, String(this.#kind.sizeBytes)];
    this.#server = startProcess({ command: [process.execPath, ...words], cwd: this.#folder, env: {} });
    await this.#server.waitForLine((line) => (line === 'mounted' ? line : null), MOUNTED_TIMEOUT_MS);
    mounts.add(this.#file('fuse'));
    await mount(this.root, '-o', 'loop', join(this.#file('fuse'), 'disk'));
  }

  /** Where the file system is mounted. */
  get root(): string {
    return this.#file('mounted');
  }

  /** How much was recorded: whatever the disk has done by now comes before it. */
  position(): number {
    return statSync(this.#file('log')).size;
  }

  /** Ends the recording; from then on there are the states of before. */
  async detach(): Promise<void> {
    await unmount(this.root);
    await unmount(this.#file('fuse'));
    await this.#server?.stop(MOUNTED_TIMEOUT_MS);
    this.#server = null;
    this.#events = readLog(this.#file('log'));
  }

  /** Every position after which the power may have failed. */
  get positions(): readonly number[] {
    return this.#events.map(({ logEnd }) => logEnd);
  }

  /**
   * Mounts what a power cut at a position left, and looks at it. Positions must not go back from one call to the next.
   * Gives what `look` gives.
   */
  async afterPowerCut<Result>(
    cut: { readonly position: number; readonly unflushed: Unflushed; readonly random: SeededRandom },
    look: (root: string) => Promise<Result>,
  ): Promise<Result> {
    const open = this.#advance(cut.position);
    const state = this.#file('state.image');
    await run('cp', ['--sparse=always', this.#file('durable'), state]);
    const { sectorBytes } = this.#kind;
    const torn: Tearing = { sectorBytes, keeps: () => cut.random.below(2) === 0 };
    this.#write(state, cut.unflushed === 'lost' ? [] : open, cut.unflushed === 'torn' ? torn : null);
    const folder = this.#file('state');
    await mount(folder, '-o', 'loop', state);
    try {
      return await look(folder);
    } finally {
      await unmount(folder);
    }
  }

  /** Makes durable what the flushes before a position cover; gives the writes after the last of them. */
  #advance(position: number): readonly DiskEvent[] {
    const before = this.#events.filter(({ logEnd }) => logEnd <= position);
    const covered = before.findLastIndex(({ kind }) => kind === 'flush') + 1;
    this.#write(this.#file('durable'), before.slice(0, covered), null);
    const open = before.slice(covered).filter(({ kind }) => kind === 'write');
    // What is durable now need not be written again.
    this.#events = this.#events.slice(covered);
    return open;
  }

  #write(file: string, events: readonly DiskEvent[], tearing: Tearing | null): void {
    const files = { log: openSync(this.#file('log'), 'r'), image: openSync(file, 'r+') };
    for (const event of events) if (event.kind === 'write') applyWrite(files, event, tearing);
    closeSync(files.log);
    closeSync(files.image);
  }

  async remove(): Promise<void> {
    for (const name of ['state', 'mounted', 'fuse']) {
      const folder = this.#file(name);
      if (mounts.delete(folder)) spawnSync('umount', ['-l', folder]);
    }
    await this.#server?.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}

async function missing({ name }: FileSystemKind): Promise<string | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root may mount';
  if (!existsSync('/dev/fuse') || !existsSync('/dev/loop-control'))
    return 'the kernel has no FUSE or no loop devices';
  return (await findProgram(`mkfs.${name}`)) === null ? `mkfs.${name} is not installed` : null;
}
