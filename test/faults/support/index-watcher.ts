import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { missingBelow, readIndex } from './layout-truth.ts';

/** Between two looks, so that the watcher leaves the machine to those it watches. */
const PAUSE_MS = 4;

/**
 * Reads the index.json of some repositories over and over, as another tool might at any moment, while servers come
 * and go: it must be whole at all times, and everything that it names must be there.
 */
export class IndexWatcher {
  readonly faults: string[] = [];
  looks = 0;
  #root: string;
  #repos: readonly string[];
  #stopping = false;
  #done: Promise<void>;

  constructor(root: string, repos: readonly string[]) {
    this.#root = root;
    this.#repos = repos;
    this.#done = this.#watch();
  }

  /** Stops looking and gives what was wrong. */
  async stop(): Promise<readonly string[]> {
    this.#stopping = true;
    await this.#done;
    return this.faults;
  }

  async #watch(): Promise<void> {
    const begun = new Set<string>();
    while (!this.#stopping && this.faults.length < 10) {
      for (const repo of this.#repos) {
        const folder = join(this.#root, repo);
        if (existsSync(join(folder, 'index.json'))) begun.add(repo);
        else if (begun.has(repo)) this.faults.push(`index.json of ${repo} vanished`);
        if (begun.has(repo)) await this.#look(folder, repo);
      }
      await pause(PAUSE_MS);
    }
  }

  async #look(folder: string, repo: string): Promise<void> {
    const descriptors = await readIndex(folder);
    this.looks += 1;
    if (typeof descriptors === 'string') return void this.faults.push(`${repo}: ${descriptors}`);
    if (!existsSync(join(folder, 'oci-layout'))) this.faults.push(`${repo} has index.json and no oci-layout`);
    // The newest ones are those that a torn write would show in; older ones were looked at before.
    for (const descriptor of descriptors.slice(-3)) {
      const missing = (): Promise<string[]> => missingBelow(folder, repo, descriptor, new Set());
      if ((await missing()).length === 0 || !(await this.#stillListed(folder, descriptor.digest))) continue;
      this.faults.push(...(await missing()));
    }
  }

  /** A manifest may be deleted between the look at index.json and the look at its files. */
  async #stillListed(folder: string, digest: string): Promise<boolean> {
    const descriptors = await readIndex(folder);
    return typeof descriptors === 'string' || descriptors.some((descriptor) => descriptor.digest === digest);
  }
}
