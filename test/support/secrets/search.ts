/** Looks for secrets in all that the servers of a run wrote, in one pass whatever their number. */
import { open, readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

export interface SearchResult {
  readonly secrets: number;
  readonly searchedBytes: number;
  /** What was found, with what stands around it; the secret itself is not shown. At most 20. */
  readonly found: readonly string[];
}

const CHUNK_BYTES = 4 * 1024 * 1024;
/** Of a longer secret its end is looked for: tokens of one kind begin alike. */
const PATTERN_CHARS = 64;
const DIFFERENT_CHARS_MIN = 4;
const FOUND_MAX = 20;
const AROUND_CHARS = 120;
const PREFIX_BYTES = 4;

/** Searches the traces in a folder. */
export async function searchTraces(folder: string): Promise<SearchResult> {
  const names = await readdir(folder);
  const secrets = new Set<string>();
  for (const name of names.filter((one) => one.startsWith('secrets-'))) {
    const lines = (await readFile(path.join(folder, name), 'utf8')).split('\n');
    for (const line of lines) if (line !== '') secrets.add(JSON.parse(line) as string);
  }
  const search = new SecretSearch([...secrets]);
  for (const name of names.filter((one) => one.startsWith('output-')))
    await searchFile(path.join(folder, name), search);
  return { secrets: secrets.size, searchedBytes: search.searchedBytes, found: search.found };
}

async function searchFile(file: string, search: SecretSearch): Promise<void> {
  const handle = await open(file);
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (let kept = 0; ;) {
      const { bytesRead } = await handle.read(buffer, kept, CHUNK_BYTES - kept);
      if (bytesRead === 0) return;
      const length = kept + bytesRead;
      search.look(buffer.subarray(0, length), kept);
      // A secret may lie across two chunks.
      kept = Math.min(length, search.longestBytes);
      buffer.copyWithin(0, length - kept, length);
    }
  } finally {
    await handle.close();
  }
}

/** All secrets, in the forms in which they may be written down, by their first bytes. */
export class SecretSearch {
  readonly found: string[] = [];
  searchedBytes = 0;
  #byPrefix = new Map<number, Buffer[]>();
  /** Whether any begins with these two bytes: what most places in a text are told by. */
  #begins = new Uint8Array(65_536);
  #longest = 0;

  constructor(secrets: readonly string[]) {
    for (const form of new Set(secrets.flatMap(formsOf))) {
      const pattern = Buffer.from(form);
      const prefix = pattern.readUInt32BE(0);
      const known = this.#byPrefix.get(prefix);
      if (known === undefined) this.#byPrefix.set(prefix, [pattern]);
      else known.push(pattern);
      this.#begins[prefix >>> 16] = 1;
      this.#longest = Math.max(this.#longest, pattern.length);
    }
  }

  get longestBytes(): number {
    return this.#longest;
  }

  /** Looks at a text, whose first `seenBytes` were looked at before. */
  look(text: Buffer, seenBytes: number): void {
    this.searchedBytes += text.length - seenBytes;
    const last = text.length - PREFIX_BYTES;
    for (let at = 0; at <= last; at += 1) {
      if (this.#begins[((text[at] as number) << 8) | (text[at + 1] as number)] === 0) continue;
      const candidates = this.#byPrefix.get(text.readUInt32BE(at));
      if (candidates !== undefined) this.#compare(text, at, seenBytes, candidates);
    }
  }

  #compare(text: Buffer, at: number, seenBytes: number, candidates: readonly Buffer[]): void {
    for (const pattern of candidates) {
      const end = at + pattern.length;
      if (end <= seenBytes || end > text.length || pattern.compare(text, at, end) !== 0) continue;
      if (this.found.length < FOUND_MAX) this.found.push(around(text, at, end));
    }
  }
}

function formsOf(secret: string): string[] {
  const end = secret.slice(-PATTERN_CHARS);
  // What repeats a few characters is the filling of some test, and stands in others as well.
  if (new Set(end).size < DIFFERENT_CHARS_MIN) return [];
  return [end, encodeURIComponent(end.toWellFormed()), JSON.stringify(end).slice(1, -1)];
}

function around(text: Buffer, start: number, end: number): string {
  const before = text.subarray(Math.max(0, start - AROUND_CHARS), start).toString();
  const after = text.subarray(end, end + AROUND_CHARS).toString();
  return `${before}<secret of ${end - start} bytes>${after}`.replaceAll('\n', ' / ');
}
