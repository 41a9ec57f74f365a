import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Folders remembered as existing, so that a push does not ask for each again. */
const REMEMBERED_MAX = 20_000;

/**
 * Creates folders and makes names durable. A rename, link or removal is durable only once the folder that
 * holds the name has been synced; callers that arrive while a sync of their folder runs share the next one.
 */
export class LocalFolders {
  #known = new Set<string>();
  #running = new Map<string, { current: Promise<void>; next: Promise<void> | null }>();

  /** Makes sure that a folder exists; durable: with every new name on the way synced. Absolute paths. */
  async ensure(folder: string, durable: boolean): Promise<void> {
    if (this.#known.has(folder)) return;
    const created = await mkdir(folder, { recursive: true, mode: 0o700 });
    if (created !== undefined && durable) {
      for (let at = folder; at.length >= created.length; at = dirname(at)) await this.sync(dirname(at));
    }
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
    this.#known.add(folder);
  }

  /** Forgets that a folder exists, after a call found it gone. */
  forget(folder: string): void {
    this.#known.delete(folder);
  }

  /** Makes the names in a folder durable as they stand when this is called, or later. */
  sync(folder: string): Promise<void> {
    const running = this.#running.get(folder);
    if (running === undefined) {
      const current = this.#syncNow(folder);
      this.#running.set(folder, { current, next: null });
      return current;
    }
    running.next ??= running.current.then(
      () => this.#startNext(folder),
      () => this.#startNext(folder),
    );
    return running.next;
  }

  #startNext(folder: string): Promise<void> {
    const current = this.#syncNow(folder);
    this.#running.set(folder, { current, next: null });
    return current;
  }

  async #syncNow(folder: string): Promise<void> {
    try {
      const handle = await open(folder, 'r');
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
}
