import { isDigest } from './digest.ts';
import type { Digest } from './digest.ts';
import { RegistryError } from './errors.ts';

declare const tagBrand: unique symbol;

/** A tag: by the specification's grammar when it is pushed; as written by another tool when it is read. */
export type Tag = string & { readonly [tagBrand]: true };

export type Reference =
  | { readonly kind: 'tag'; readonly tag: Tag }
  | { readonly kind: 'digest'; readonly digest: Digest };

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST_LIKE = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:/;

/** Whether a new tag may have this name (distribution specification, section "Pulling manifests"). */
export function isTag(text: string): text is Tag {
  return TAG.test(text);
}

/** Text to a tag that may be pushed; throws `MANIFEST_INVALID` (400). */
export function parseTag(text: string): Tag {
  if (isTag(text)) return text;
  throw new RegistryError('MANIFEST_INVALID', {
    message: 'tags are 1 to 128 letters, digits, "_", "." or "-", and do not start with "." or "-"',
    detail: { tag: text.slice(0, 200) },
  });
}

/**
 * Reference of a push: a digest or a valid tag. Something that looks like a digest but is none is refused
 * with `DIGEST_INVALID`, anything else that is no tag with `MANIFEST_INVALID`.
 */
export function parsePushReference(text: string): Reference {
  if (isDigest(text)) return { kind: 'digest', digest: text };
  if (DIGEST_LIKE.test(text)) {
    throw new RegistryError('DIGEST_INVALID', { detail: { reference: text.slice(0, 200) } });
  }
  return { kind: 'tag', tag: parseTag(text) };
}

/**
 * Reference of a read or delete. Never throws: a layout may hold tags that the grammar forbids, written by
 * older or other tools, and they are served as they stand.
 */
export function readReference(text: string): Reference {
  return isDigest(text) ? { kind: 'digest', digest: text } : { kind: 'tag', tag: text as Tag };
}

/** A tag as found in a layout's `org.opencontainers.image.ref.name`, whatever its form. */
export function storedTag(text: string): Tag {
  return text as Tag;
}

/** The reference as it stands in a URL. */
export function referenceText(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}
