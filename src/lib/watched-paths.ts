import { currentVersion } from './watched-file.ts';

const POLL_MS = 150;

/**
 * Tells when one of several files was changed: by a write, a rename, or a swap of links on the way to it
 * (Kubernetes). They are looked at by name; a change is told when two looks in turn find the same, so that a write
 * under way is told once, at its end.
 */
export class WatchedPaths {
  #paths: readonly string[];
  #onChange: (isFirst: boolean) => void;
  #told: string | null = null;
  #seen: string | null = null;
  #timer: NodeJS.Timeout;
  #looking = false;

  /**
   * `onChange` is also called for the first look at a list of files, since they may have changed between being
   * read and being looked at.
   */
  constructor(paths: readonly string[], onChange: (isFirst: boolean) => void) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#timer = setInterval(() => void this.#look(), POLL_MS);
    this.#timer.unref();
  }

  /** Looks at these from now on. */
  watch(paths: readonly string[]): void {
    if (paths.join('\n') === this.#paths.join('\n')) return;
    this.#paths = paths;
    this.#told = null;
    this.#seen = null;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // A look that hangs (a network file system) must not gather others behind it.
    if (this.#looking) return;
    this.#looking = true;
    try {
      const paths = this.#paths;
      const seen = (await Promise.all(paths.map(currentVersion))).join('\n');
      if (paths === this.#paths) this.#note(seen);
    } finally {
      this.#looking = false;
    }
  }

  #note(seen: string): void {
    const isSettled = seen === this.#seen;
    this.#seen = seen;
    if (!isSettled || seen === this.#told) return;
    const isFirst = this.#told === null;
    this.#told = seen;
    this.#onChange(isFirst);
  }
}
