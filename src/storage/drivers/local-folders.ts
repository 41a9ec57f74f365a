import { constants } from 'node:fs';
import { dirname, relative } from 'node:path';
import { StorageError } from '../driver.ts';
import type { FileSystem } from './file-system.ts';
import { systemCode } from './local-errors.ts';

/** Folders remembered, so that a push does not ask for each again. */
const REMEMBERED_MAX = 20_000;
const FOLDER_MODE = 0o700;

/**
 * Creates folders and makes names durable. A rename, link or removal is durable only once the folder that
 * holds the name has been synced; callers that arrive while a sync of their folder runs share the next one.
 *
 * Invariants: (1) a folder is remembered as `durable` only when its own name and those of all folders above it, up
 * to the root, were synced by this process: one that another process made, or that was made in a hurry, may still
 * vanish in a power cut with everything in it. (2) A sync that a caller waits for began after the caller asked.
 */
export class LocalFolders {
  #root: string;
  #files: FileSystem;
  #known = new Map<string, 'present' | 'durable'>();
  #running = new Map<string, { current: Promise<void>; next: Promise<void> | null }>();

  constructor(root: string, files: FileSystem) {
    this.#root = root;
    this.#files = files;
  }

  /** Makes sure that a folder exists; durable: with every name on the way to it synced. Absolute paths. */
  async ensure(folder: string, durable: boolean): Promise<void> {
    const known = this.#known.get(folder);
    if (known === 'durable' || (known === 'present' && !durable)) return;
    const created = await this.#make(folder);
    if (created !== undefined) for (const at of upwards(folder, created)) this.#known.delete(at);
    if (!durable) return this.#remember([folder], 'present');
    const doubtful = this.#doubtful(folder, created);
    await Promise.all(doubtful.map((at) => this.sync(dirname(at))));
    this.#remember([folder, ...doubtful], 'durable');
  }

  /** Forgets that a folder exists, after a call found it gone. */
  forget(folder: string): void {
    this.#known.delete(folder);
  }

  /** Makes the names in a folder durable as they stand when this is called, or later. */
  sync(folder: string): Promise<void> {
    const running = this.#running.get(folder);
    if (running === undefined) return this.#start(folder);
    running.next ??= running.current.then(
      () => this.#start(folder),
      () => this.#start(folder),
    );
    return running.next;
  }

  #start(folder: string): Promise<void> {
    const current = this.#syncNow(folder);
    this.#running.set(folder, { current, next: null });
    return current;
  }

  async #syncNow(folder: string): Promise<void> {
    try {
      const handle = await this.#files.open(folder, constants.O_RDONLY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } finally {
      // Whoever waits for the next sync has replaced the entry by then; otherwise the folder is idle.
      const running = this.#running.get(folder);
      if (running !== undefined && running.next === null) this.#running.delete(folder);
    }
  }

  async #make(folder: string): Promise<string | undefined> {
    try {
      return await this.#files.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    } catch (error) {
      if (systemCode(error) !== 'ENOTDIR') throw error;
      const path = relative(this.#root, folder);
      throw new StorageError('exists', path, {
        cause: error,
        message: `a file stands where a folder must be: ${path}`,
      });
    }
  }

  /**
   * The folders whose names may not be on the disk yet. What lies above the root is the business of whoever made it,
   * unless it was made here.
   */
  #doubtful(folder: string, created: string | undefined): string[] {
    const rootIsNew = created !== undefined && created.length <= this.#root.length;
    const all = upwards(folder, rootIsNew ? created : this.#root).filter(
      (at) => rootIsNew || at !== this.#root,
    );
    const trusted = all.findIndex((at) => this.#known.get(at) === 'durable');
    return trusted < 0 ? all : all.slice(0, trusted);
  }

  #remember(folders: readonly string[], state: 'present' | 'durable'): void {
    if (this.#known.size + folders.length > REMEMBERED_MAX) this.#known.clear();
    for (const folder of folders) this.#known.set(folder, state);
  }
}

/** A folder and those above it, to the highest that is asked for. */
function upwards(folder: string, highest: string): string[] {
  const all: string[] = [];
  for (let at = folder; at.length >= highest.length; at = dirname(at)) {
    all.push(at);
    if (at === dirname(at)) break;
  }
  return all;
}
