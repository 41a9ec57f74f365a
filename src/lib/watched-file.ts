import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

export interface WatchedFileOptions<Content> {
  readonly path: string;
  readonly sizeBytesMax: number;
  /** Throws what is wrong with a text. */
  readonly parse: (text: string) => Content;
  /** Hears why a changed file is not taken over: once for each version of the file. */
  readonly onProblem: (problem: string) => void;
  readonly onChange?: (content: Content) => void;
}

const POLL_MS = 250;

/**
 * A small text file that is read again when it changes, whole or not at all: while the new version cannot be read
 * or parsed, the old content stays. It is looked at by its name, so that a rename and a swap of links (Kubernetes)
 * are seen like a write; and taken over when two looks in turn find the same version, so that no half-written file
 * is read. A change is in force within about half a second.
 */
export class WatchedFile<Content> {
  #options: WatchedFileOptions<Content>;
  #content: Content;
  #taken: string;
  #seen: string;
  #timer: NodeJS.Timeout;
  #looking = false;

  /** Throws when the file cannot be read or parsed at the start. */
  constructor(options: WatchedFileOptions<Content>) {
    this.#options = options;
    this.#taken = versionOf(statSync(options.path, { bigint: true }));
    this.#seen = this.#taken;
    this.#content = options.parse(readBounded(options.path, options.sizeBytesMax));
    this.#timer = setInterval(() => void this.#look(), POLL_MS);
    this.#timer.unref();
  }

  get content(): Content {
    return this.#content;
  }

  async #look(): Promise<void> {
    // A look that hangs (a network file system) must not gather others behind it.
    if (this.#looking) return;
    this.#looking = true;
    try {
      const seen = await currentVersion(this.#options.path);
      const isSettled = seen === this.#seen;
      this.#seen = seen;
      if (isSettled && seen !== this.#taken) this.#take(seen);
    } finally {
      this.#looking = false;
    }
  }

  #take(version: string): void {
    const { path, sizeBytesMax, parse, onChange, onProblem } = this.#options;
    // Also a version that is refused: it is tried once.
    this.#taken = version;
    try {
      this.#content = parse(readBounded(path, sizeBytesMax));
    } catch (error) {
      onProblem(error instanceof Error ? error.message : String(error));
      return;
    }
    onChange?.(this.#content);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Tells one version of a file from another, as its name finds it; never fails, absence is a version, too. */
export async function currentVersion(path: string): Promise<string> {
  try {
    return versionOf(await stat(path, { bigint: true }));
  } catch (error) {
    return `cannot be looked at: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`;
  }
}

function versionOf(found: BigIntStats): string {
  return [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join('-');
}

/** The whole text of a file; throws when it is larger than allowed, changes while it is read, or is not UTF-8. */
function readBounded(path: string, sizeBytesMax: number): string {
  const file = openSync(path, 'r');
  try {
    const before = fstatSync(file, { bigint: true });
    if (!before.isFile()) throw new Error(`${path} is not a file`);
    if (before.size > BigInt(sizeBytesMax)) throw new Error(`${path} is larger than ${sizeBytesMax} bytes`);
    const bytes = Buffer.alloc(Number(before.size));
    let length = 0;
    while (length < bytes.length) {
      const read = readSync(file, bytes, length, bytes.length - length, null);
      if (read === 0) break;
      length += read;
    }
    if (length < bytes.length || versionOf(fstatSync(file, { bigint: true })) !== versionOf(before)) {
      throw new Error(`${path} changed while it was read`);
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } finally {
    closeSync(file);
  }
}
