import { constants } from 'node:fs';
import type { BigIntStats, Dirent } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { nodeFileSystem } from '../../../src/storage/drivers/file-system.ts';
import type { FileSystem, OpenFile } from '../../../src/storage/drivers/file-system.ts';
import { crashStates } from './crash-states.ts';
import type { CrashOptions, CrashState } from './crash-states.ts';
import { DiskLog, ROOT } from './disk-log.ts';
import type { NodeId } from './disk-log.ts';
import { SeededRandom } from './seeded-random.ts';

export interface PowerCutOptions {
  /** Decides how long syncs take, and so how calls overlap. */
  readonly seed: number;
  /** A disk, or a program, that never syncs folders: to prove that a test would notice. */
  readonly ignoreFolderSync?: boolean;
  /** The same for files. */
  readonly ignoreFileSync?: boolean;
}

/** A sync lasts up to this many turns of the event loop, in which other calls go on. */
const TURNS_MAX = 20;

/**
 * The file system under the local driver, with every effect recorded, to work out what a power cut could leave.
 *
 * Calls work on a real temporary folder, so names, faults and descriptors are real; nothing but the log knows what
 * would be durable. Calls that change something run one after another, so that the log has their true order; syncs
 * overlap with them, last a few turns of the event loop and cover what was recorded before they began.
 * `Promised` is whatever the test wants to note when the program acknowledges something.
 */
export class PowerCutDisk<Promised> implements FileSystem {
  readonly root: string;
  readonly log = new DiskLog<Promised>();
  #nodes = new Map<string, NodeId>([['', ROOT]]);
  #options: PowerCutOptions;
  #random: SeededRandom;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(root: string, options: PowerCutOptions) {
    this.root = root;
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  static async create<Promised>(options: PowerCutOptions): Promise<PowerCutDisk<Promised>> {
    return new PowerCutDisk<Promised>(await mkdtemp(join(tmpdir(), 'zot-power-cut-')), options);
  }

  /** Notes that the program acknowledged something: it must hold in every crash state from here on. */
  acknowledge(promised: Promised): void {
    this.log.events.push({ kind: 'promise', promised });
  }

  /** Every state that a power cut may leave, at each moment of the history; sampled where there are too many. */
  crashStates(options: CrashOptions): Iterable<CrashState<Promised>> {
    return crashStates(this.log, options);
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  // --- the calls of the file system ---

  async open(path: string, flags: number, mode?: number): Promise<OpenFile> {
    const open = async (): Promise<OpenFile> => {
      const file = await nodeFileSystem.open(path, flags, mode);
      if (!this.#nodes.has(this.#name(path))) this.#enter(path, this.log.newFile());
      return this.#recorded(file, this.#node(path));
    };
    // Only what changes something waits for its turn: a sync that was asked for early must begin early.
    return (flags & constants.O_CREAT) === 0 ? open() : this.#inOrder(open);
  }

  stat(path: string, options: { bigint: true }): Promise<BigIntStats> {
    return nodeFileSystem.stat(path, options);
  }

  opendir(path: string, options: { bufferSize: number }): Promise<AsyncIterable<Dirent>> {
    return nodeFileSystem.opendir(path, options);
  }

  mkdir(path: string, options: { recursive: true; mode: number }): Promise<string | undefined> {
    return this.#inOrder(async () => {
      const made = await nodeFileSystem.mkdir(path, options);
      const missing: string[] = [];
      for (let at = path; !this.#nodes.has(this.#name(at)); at = dirname(at)) missing.unshift(at);
      for (const folder of missing) this.#enter(folder, this.log.newFolder());
      return made;
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#inOrder(async () => {
      await nodeFileSystem.rename(from, to);
      const node = this.#node(from);
      // Two names of one file: POSIX leaves both.
      if (this.#nodes.get(this.#name(to)) === node) return;
      this.#enter(to, node);
      this.#leave(from);
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.#inOrder(async () => {
      await nodeFileSystem.link(from, to);
      this.#enter(to, this.#node(from));
    });
  }

  copyFile(from: string, to: string, mode: number): Promise<void> {
    return this.#inOrder(async () => {
      await nodeFileSystem.copyFile(from, to, mode);
      const file = this.log.newFile();
      this.#enter(to, file);
      this.log.events.push({ kind: 'write', file, position: 0, bytes: await readFile(to) });
    });
  }

  unlink(path: string): Promise<void> {
    return this.#inOrder(async () => {
      await nodeFileSystem.unlink(path);
      this.#leave(path);
    });
  }

  rmdir(path: string): Promise<void> {
    return this.#inOrder(async () => {
      await nodeFileSystem.rmdir(path);
      this.#leave(path);
    });
  }

  utimes(path: string, accessed: Date, modified: Date): Promise<void> {
    return nodeFileSystem.utimes(path, accessed, modified);
  }

  statfs(path: string): Promise<{ bavail: number; blocks: number; bsize: number }> {
    return nodeFileSystem.statfs(path);
  }

  #recorded(file: OpenFile, node: NodeId): OpenFile {
    let end = 0;
    const wrote = (position: number, bytes: Buffer): void => {
      this.log.events.push({ kind: 'write', file: node, position, bytes: Buffer.from(bytes) });
    };
    return {
      fd: file.fd,
      read: (buffer, offset, length, position) => file.read(buffer, offset, length, position),
      write: (buffer, offset, length, position) =>
        this.#inOrder(async () => {
          const result = await file.write(buffer, offset, length, position);
          wrote(position, buffer.subarray(offset, offset + result.bytesWritten));
          return result;
        }),
      writev: (buffers) =>
        this.#inOrder(async () => {
          const result = await file.writev(buffers);
          wrote(end, Buffer.concat(buffers).subarray(0, result.bytesWritten));
          end += result.bytesWritten;
          return result;
        }),
      sync: () => this.#sync(node),
      stat: (options) => file.stat(options),
      close: () => file.close(),
    };
  }

  /** Nothing is flushed in truth: what would be durable stands in the log alone. */
  async #sync(node: NodeId): Promise<void> {
    const covers = this.log.events.length;
    for (let turns = this.#random.below(TURNS_MAX); turns >= 0; turns -= 1) await nextTurn();
    const { ignoreFolderSync, ignoreFileSync } = this.#options;
    const ignored = this.log.isFolder(node) ? ignoreFolderSync : ignoreFileSync;
    if (ignored !== true) this.log.events.push({ kind: 'sync', node, covers });
  }

  async #inOrder<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch((error: unknown) => error);
    return result;
  }

  #name(path: string): string {
    return relative(this.root, path);
  }

  #node(path: string): NodeId {
    const node = this.#nodes.get(this.#name(path));
    if (node === undefined) throw new Error(`${path} was not made through this disk`);
    return node;
  }

  #enter(path: string, node: NodeId): void {
    const folder = this.#node(dirname(path));
    this.#nodes.set(this.#name(path), node);
    this.log.events.push({ kind: 'entry', folder, name: basename(path), node });
  }

  #leave(path: string): void {
    this.#nodes.delete(this.#name(path));
    this.log.events.push({
      kind: 'entry',
      folder: this.#node(dirname(path)),
      name: basename(path),
      node: null,
    });
  }
}
