/**
 * Reads a BoltDB file (bbolt): the database in which zot keeps what the images do not say. Only reads, page by page,
 * and trusts nothing: every offset is looked at before it is followed, and what does not fit is refused.
 *
 * A page: id (8 bytes), flags (2), count (2), overflow pages (4), then its elements; numbers little-endian. The first
 * two pages say where the root is; of those whose checksum is right the one with the later transaction holds.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { TransferRefusal } from './refusal.ts';

const PAGE_HEADER_BYTES = 16;
const ELEMENT_BYTES = 16;
const BUCKET_BYTES = 16;
const META_BYTES = 64;
const MAGIC = 0xed0cdaed;
const VERSION = 2;
const BRANCH = 0x01;
const LEAF = 0x02;
const META = 0x04;
const IS_BUCKET = 0x01;
const PAGE_SIZES = Array.from({ length: 8 }, (_, at) => 512 << at);
/** A tree of this depth would hold more than any disk. */
const DEPTH_MAX = 32;
const VALUE_PAGES_MAX = 64 * 1024;

export interface BoltEntry {
  readonly key: Buffer;
  /** `null` for a bucket. */
  readonly value: Buffer | null;
}

/** Where a tree begins: a page of the file, or one that lies within the entry of its bucket. */
type Root = { readonly page: number } | { readonly inline: Buffer };

export class BoltFile {
  #file: number;
  #sizeBytes: number;
  #pageBytes = 0;
  #root: Root;
  /** Pages read for one bucket: of a tree that is sound, each at most once. */
  #pagesRead = 0;

  /** Opens a database that nobody writes. Throws `TransferRefusal` when it is none, or damaged. */
  constructor(path: string) {
    this.#file = openSync(path, 'r');
    try {
      this.#sizeBytes = fstatSync(this.#file).size;
      this.#root = { page: this.#findRoot() };
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  /** The entries of a bucket of the outermost level, in the order of their keys; none where there is no such bucket. */
  *entries(bucket: string): Generator<BoltEntry, void, undefined> {
    this.#pagesRead = 0;
    for (const { key, bucketRoot } of this.#leaves(this.#root, 0)) {
      if (bucketRoot === null || key.toString('utf8') !== bucket) continue;
      for (const { key: inner, value, bucketRoot: nested } of this.#leaves(bucketRoot, 0))
        yield { key: inner, value: nested === null ? value : null };
      return;
    }
  }

  /** The root by the later of the two first pages that are whole. */
  #findRoot(): number {
    let found: { readonly transaction: bigint; readonly page: number } | null = null;
    const first = this.#meta(0);
    // Without the first one nobody says how large a page is.
    const sizes = first === null ? PAGE_SIZES : [first.pageBytes];
    const metas = [first, ...sizes.map((size) => this.#meta(size))];
    for (const meta of metas) {
      if (meta === null || (found !== null && meta.transaction < found.transaction)) continue;
      this.#pageBytes = meta.pageBytes;
      found = { transaction: meta.transaction, page: meta.root };
    }
    if (found === null) throw new TransferRefusal('this is no BoltDB file, or it is damaged');
    return found.page;
  }

  #meta(
    offset: number,
  ): { readonly pageBytes: number; readonly root: number; readonly transaction: bigint } | null {
    const bytes = Buffer.alloc(PAGE_HEADER_BYTES + META_BYTES);
    if (readSync(this.#file, bytes, 0, bytes.length, offset) < bytes.length) return null;
    const meta = bytes.subarray(PAGE_HEADER_BYTES);
    const isMeta = (bytes.readUInt16LE(8) & META) !== 0 && meta.readUInt32LE(0) === MAGIC;
    if (!isMeta || meta.readUInt32LE(4) !== VERSION) return null;
    if (fnv1a(meta.subarray(0, META_BYTES - 8)) !== meta.readBigUInt64LE(META_BYTES - 8)) return null;
    const pageBytes = meta.readUInt32LE(8);
    if (!PAGE_SIZES.includes(pageBytes)) return null;
    return { pageBytes, root: Number(meta.readBigUInt64LE(16)), transaction: meta.readBigUInt64LE(48) };
  }

  /** The leaves of a tree, in order. */
  *#leaves(
    root: Root,
    depth: number,
  ): Generator<{ key: Buffer; value: Buffer; bucketRoot: Root | null }, void, undefined> {
    if (depth > DEPTH_MAX) throw damaged();
    const page = 'inline' in root ? root.inline : this.#page(root.page);
    const flags = page.readUInt16LE(8);
    const count = page.readUInt16LE(10);
    if ((flags & (BRANCH | LEAF)) === 0) throw damaged();
    for (let at = 0; at < count; at += 1) {
      const element = PAGE_HEADER_BYTES + at * ELEMENT_BYTES;
      if (element + ELEMENT_BYTES > page.length) throw damaged();
      if ((flags & BRANCH) === 0) yield leafAt(page, element);
      else yield* this.#leaves({ page: Number(page.readBigUInt64LE(element + 8)) }, depth + 1);
    }
  }

  #page(id: number): Buffer {
    this.#pagesRead += 1;
    if (this.#pagesRead * this.#pageBytes > 2 * this.#sizeBytes) throw damaged();
    const header = this.#read(id, this.#pageBytes);
    const overflow = header.readUInt32LE(12);
    if (overflow > VALUE_PAGES_MAX || header.readBigUInt64LE(0) !== BigInt(id)) throw damaged();
    return overflow === 0 ? header : this.#read(id, (overflow + 1) * this.#pageBytes);
  }

  #read(id: number, sizeBytes: number): Buffer {
    const offset = id * this.#pageBytes;
    if (!Number.isSafeInteger(offset) || offset + sizeBytes > this.#sizeBytes) throw damaged();
    const bytes = Buffer.alloc(sizeBytes);
    if (readSync(this.#file, bytes, 0, sizeBytes, offset) < sizeBytes) throw damaged();
    return bytes;
  }
}

/** An entry of a leaf: flags, where its key is (from the element), and the sizes of key and value. */
function leafAt(page: Buffer, element: number): { key: Buffer; value: Buffer; bucketRoot: Root | null } {
  const start = element + page.readUInt32LE(element + 4);
  const middle = start + page.readUInt32LE(element + 8);
  const end = middle + page.readUInt32LE(element + 12);
  if (end > page.length) throw damaged();
  const key = page.subarray(start, middle);
  const value = page.subarray(middle, end);
  const isBucket = (page.readUInt32LE(element) & IS_BUCKET) !== 0;
  return { key, value, bucketRoot: isBucket ? rootOfBucket(value) : null };
}

/** A bucket names the page of its root; a small one has that page behind its own header. */
function rootOfBucket(value: Buffer): Root {
  if (value.length < BUCKET_BYTES) throw damaged();
  const page = value.readBigUInt64LE(0);
  if (page !== 0n) return { page: Number(page) };
  const inline = value.subarray(BUCKET_BYTES);
  if (inline.length < PAGE_HEADER_BYTES) throw damaged();
  return { inline };
}

function damaged(): TransferRefusal {
  return new TransferRefusal('the BoltDB file is damaged: its pages do not fit together');
}

/** FNV-1a of 64 bits. */
function fnv1a(bytes: Buffer): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
