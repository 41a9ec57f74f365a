import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { RegistryError } from './errors.ts';

declare const digestBrand: unique symbol;

/** A digest of a supported algorithm in canonical form: `sha256:` and 64 lower case hexadecimal digits, and so on. */
export type Digest = string & { readonly [digestBrand]: true };

export type DigestAlgorithm = 'sha256' | 'sha384' | 'sha512';

const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha384: 96, sha512: 128 };

export const DIGEST_ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha384', 'sha512'];

const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/;

/** Whether `text` is a digest the registry can store (image-spec, "Descriptor", section "Digests"). */
export function isDigest(text: string): text is Digest {
  return PATTERN.test(text);
}

/** Text to digest; throws `DIGEST_INVALID` (400) for anything else. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new RegistryError('DIGEST_INVALID', {
    message:
      'the digest is not of the form sha256:<64 hex>, sha384:<96 hex> or sha512:<128 hex> in lower case',
    detail: { digest: text.slice(0, 200) },
  });
}

/** The algorithm before the colon. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
}

/** The hexadecimal part behind the colon. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** Joins an algorithm and a file name of `blobs/<algorithm>/`; `null` where the name is no digest. */
export function digestFromParts(algorithm: string, hex: string): Digest | null {
  const text = `${algorithm}:${hex}`;
  return isDigest(text) ? text : null;
}

/** The digest of `bytes`. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

/** The digest so far of a running hash, which goes on being usable. */
export function digestSoFar(hash: Hash, algorithm: DigestAlgorithm): Digest {
  return `${algorithm}:${hash.copy().digest('hex')}` as Digest;
}

/** The number of hexadecimal digits of an algorithm. */
export function digestHexLength(algorithm: DigestAlgorithm): number {
  return HEX_LENGTH[algorithm];
}
