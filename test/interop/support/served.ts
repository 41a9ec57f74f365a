import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import {
  blobFile,
  childrenOf,
  hasDigest,
  isManifest,
  mediaTypes,
  readManifest,
  type Descriptor,
} from './layout.ts';
import type { Registry } from './registry.ts';

const accept = Object.values(mediaTypes).join(', ');

export interface ServedManifest {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly mediaType: string;
}

/** GET of a manifest by a plain HTTP client; `null` when the registry answers 404. */
export async function getManifest(
  registry: Registry,
  repository: string,
  reference: string,
): Promise<ServedManifest | null> {
  const response = await fetch(`${registry.url}/v2/${repository}/manifests/${reference}`, {
    headers: { accept },
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status === 404) return null;
  assert.equal(response.status, 200, bytes.toString());
  const digest = response.headers.get('docker-content-digest') ?? '';
  assert.ok(hasDigest(bytes, digest), 'the digest header names the bytes that were sent');
  return { bytes, digest, mediaType: response.headers.get('content-type') ?? '' };
}

/** The digest of a tag, or `null` when there is no such tag. */
export async function digestOfTag(
  registry: Registry,
  repository: string,
  tag: string,
): Promise<string | null> {
  return (await getManifest(registry, repository, tag))?.digest ?? null;
}

export async function getBlob(registry: Registry, repository: string, digest: string): Promise<Buffer> {
  const response = await fetch(`${registry.url}/v2/${repository}/blobs/${digest}`);
  assert.equal(response.status, 200, `blob ${digest} of ${repository}`);
  return Buffer.from(await response.arrayBuffer());
}

/**
 * Asserts that the registry serves a whole tree of content (an index with all its images, an image with all its blobs)
 * to the bit: every digest and size of it is checked on what arrives. Returns the number of objects read.
 */
export async function assertServed(
  registry: Registry,
  repository: string,
  root: Descriptor,
): Promise<number> {
  const served = await getManifest(registry, repository, root.digest);
  assert.ok(served !== null, `${repository}@${root.digest} is served`);
  assert.equal(served.digest, root.digest);
  assert.equal(served.mediaType, root.mediaType, 'Content-Type is the media type that was pushed');
  let count = 1;
  for (const child of childrenOf(readManifest(JSON.parse(served.bytes.toString())))) {
    if (isManifest(child.mediaType)) {
      count += await assertServed(registry, repository, child);
    } else {
      const bytes = await getBlob(registry, repository, child.digest);
      assert.equal(bytes.byteLength, child.size);
      assert.ok(hasDigest(bytes, child.digest), `blob ${child.digest}`);
      count += 1;
    }
  }
  return count;
}

/** Asserts that a layout holds a whole tree of content, each object hashing to its digest. */
export async function assertInLayout(folder: string, root: Descriptor): Promise<number> {
  const bytes = await readFile(blobFile(folder, root.digest));
  assert.ok(hasDigest(bytes, root.digest), `blob ${root.digest} in ${folder}`);
  assert.equal(bytes.byteLength, root.size);
  if (!isManifest(root.mediaType)) return 1;
  let count = 1;
  for (const child of childrenOf(readManifest(JSON.parse(bytes.toString())))) {
    count += await assertInLayout(folder, child);
  }
  return count;
}

/** The answer of the referrers API for a subject (spec, "Listing Referrers"). */
export async function getReferrers(
  registry: Registry,
  repository: string,
  subject: string,
): Promise<readonly Descriptor[]> {
  const response = await fetch(`${registry.url}/v2/${repository}/referrers/${subject}`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), mediaTypes.index);
  return readManifest(await response.json()).manifests ?? [];
}

/** The tags that the registry lists, in its order. */
export async function getTags(registry: Registry, repository: string): Promise<string[]> {
  const response = await fetch(`${registry.url}/v2/${repository}/tags/list`);
  if (response.status === 404) return [];
  const body: unknown = await response.json();
  assert.ok(typeof body === 'object' && body !== null && 'tags' in body, 'the answer has tags');
  return Array.isArray(body.tags) ? body.tags.map(String) : [];
}
