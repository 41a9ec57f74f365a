import { FRESH_HEAD } from '#storage';
import type { EntryRow, IndexWriter } from '#metadata';
import type { RepoName } from '#oci/repo-name';

/** Descriptors serialised together; a change costs the serialising of one chunk, not of the file. */
const CHUNK_ENTRIES = 256;
const LOAD_ENTRIES = 1024;

interface Chunk {
  positions: number[];
  /** The descriptors, joined by commas. */
  bytes: Buffer;
}

const COMMA = Buffer.from(',');

/**
 * The text of one repository's index.json, kept serialised so that a rewrite of a long one is mostly copying.
 *
 * Invariants: positions grow from chunk to chunk and within each; a chunk is never empty; the texts are those of
 * the index's rows. After a failed write the whole object is thrown away, never repaired.
 */
export class IndexChunks {
  #chunks: Chunk[] = [];
  #nextPosition = 0;
  #sizeBytes = 0;

  /** Reads the rows of a repository from the index, yielding between pages. */
  static async load(index: IndexWriter, repo: RepoName): Promise<IndexChunks> {
    const chunks = new IndexChunks();
    let afterPosition = -1;
    for (;;) {
      const rows = await index.listEntries(repo, { afterPosition, limit: LOAD_ENTRIES });
      for (let at = 0; at < rows.length; at += CHUNK_ENTRIES)
        chunks.#push(rows.slice(at, at + CHUNK_ENTRIES));
      const last = rows.at(-1);
      if (last === undefined) return chunks;
      afterPosition = last.position;
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Adds descriptors at the end, in order, and gives the position of each. */
  append(texts: readonly string[]): number[] {
    const first = this.#nextPosition;
    for (const [at, json] of texts.entries()) {
      const position = first + at;
      const last = this.#chunks.at(-1);
      if (last === undefined || last.positions.length >= CHUNK_ENTRIES) this.#push([{ position, json }]);
      else this.#extend(last, position, json);
    }
    return texts.map((_, at) => first + at);
  }

  /** Removes the descriptors at positions that exist; each chunk is serialised once, however many leave it. */
  remove(positions: readonly number[]): void {
    if (positions.length === 0) return;
    for (const [at, leaving] of Map.groupBy(positions, (position) => this.#find(position)))
      this.#removeFrom(this.#chunks[at], new Set(leaving));
    this.#chunks = this.#chunks.filter((chunk) => chunk.positions.length > 0);
  }

  #removeFrom(chunk: Chunk | undefined, leaving: ReadonlySet<number>): void {
    const kept = chunk?.positions.filter((position) => !leaving.has(position)) ?? [];
    if (chunk === undefined || kept.length + leaving.size !== chunk.positions.length)
      throw new Error(`no descriptors at all of the positions ${[...leaving].join(', ')}`);
    const texts = (JSON.parse(`[${chunk.bytes.toString()}]`) as unknown[])
      .filter((_, within) => !leaving.has(chunk.positions[within] ?? -1))
      .map((value) => JSON.stringify(value));
    this.#sizeBytes -= chunk.bytes.length;
    chunk.positions = kept;
    chunk.bytes = Buffer.from(texts.join(','));
    this.#sizeBytes += chunk.bytes.length;
  }

  /** The whole file, in pieces. `unreadable` descriptors of other tools stand at its end. */
  file(head: string, unreadable: readonly string[]): Buffer[] {
    const pieces: Buffer[] = [Buffer.from(`${head || FRESH_HEAD},"manifests":[`)];
    for (const chunk of this.#chunks) {
      if (pieces.length > 1) pieces.push(COMMA);
      pieces.push(chunk.bytes);
    }
    if (unreadable.length > 0)
      pieces.push(Buffer.from((pieces.length > 1 ? ',' : '') + unreadable.join(',')));
    pieces.push(Buffer.from(']}'));
    return pieces;
  }

  #push(rows: readonly Pick<EntryRow, 'position' | 'json'>[]): void {
    const bytes = Buffer.from(rows.map((row) => row.json).join(','));
    this.#chunks.push({ positions: rows.map((row) => row.position), bytes });
    this.#sizeBytes += bytes.length;
    this.#nextPosition = (rows.at(-1)?.position ?? -1) + 1;
  }

  #extend(chunk: Chunk, position: number, json: string): void {
    const added = Buffer.from(`,${json}`);
    chunk.bytes = Buffer.concat([chunk.bytes, added]);
    chunk.positions.push(position);
    this.#sizeBytes += added.length;
    this.#nextPosition = position + 1;
  }

  /** The last chunk that begins at or before a position. */
  #find(position: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#chunks[middle]?.positions[0] ?? Infinity) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
