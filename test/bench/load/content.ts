/**
 * Unique content for uploads whose digests cost next to nothing: all blobs of one size share their random beginning and
 * differ in the last 64 bytes, so that the beginning is hashed once and each blob adds one small step. The hash of the
 * beginning is taken before the timed part, and nothing on the way to a registry can profit from the sharing.
 */
import { createCipheriv, createHash, type Hash } from 'node:crypto';

const TAIL_BYTES = 64;
const BASE_BYTES = 64 * 1024 * 1024;

export interface Blob {
  digest: string;
  sizeBytes: number;
  /** The content in order; only the last part is this blob's own. */
  parts: Buffer[];
}

/** What all blobs of one size begin with. */
interface Prefix {
  parts: Buffer[];
  hash: Hash;
}

let base: Buffer | undefined;
const prefixes = new Map<number, Prefix>();

/** The blob of this size and name: the same name always gives the same bytes, another name other bytes. */
export function blobOf(sizeBytes: number, name: string): Blob {
  const tail = createHash('sha512').update(name).digest().subarray(0, Math.min(TAIL_BYTES, sizeBytes));
  const { parts, hash } = prefixOf(sizeBytes - tail.length);
  return { digest: `sha256:${hash.copy().update(tail).digest('hex')}`, sizeBytes, parts: [...parts, tail] };
}

/** A blob from text, such as a manifest. */
export function textBlob(text: string): Blob {
  const bytes = Buffer.from(text);
  return {
    digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    sizeBytes: bytes.length,
    parts: [bytes],
  };
}

function prefixOf(sizeBytes: number): Prefix {
  let prefix = prefixes.get(sizeBytes);
  if (prefix === undefined) {
    const parts = partsOf(sizeBytes);
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    prefix = { parts, hash };
    prefixes.set(sizeBytes, prefix);
  }
  return prefix;
}

/** Views of the base, repeated as often as needed: 10 GB of content take no memory. */
function partsOf(sizeBytes: number): Buffer[] {
  const whole = baseBuffer();
  const parts = Array.from({ length: Math.floor(sizeBytes / BASE_BYTES) }, () => whole);
  const rest = sizeBytes % BASE_BYTES;
  return rest === 0 ? parts : [...parts, whole.subarray(0, rest)];
}

/** 64 MiB that no file system compresses: the key stream of AES, the same on every run. */
function baseBuffer(): Buffer {
  base ??= createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16)).update(
    Buffer.alloc(BASE_BYTES),
  );
  return base;
}
