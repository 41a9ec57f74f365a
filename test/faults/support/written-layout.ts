import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentOf, imageOf } from './images.ts';
import type { Content, Image } from './images.ts';

export interface WrittenRepository {
  readonly name: string;
  /** The image that each tag names, `damaged` when its manifest was written with other bytes. */
  readonly tags: ReadonlyMap<string, { readonly image: Image; readonly damaged: boolean }>;
}

/**
 * Writes a repository as another tool would, without a registry: tags `t0` to `t<n-1>`, an image each, all of one
 * layer. Every `damagedEvery`-th manifest (0: none) is damaged.
 */
export async function writeRepository(
  root: string,
  name: string,
  options: { readonly manifests: number; readonly damagedEvery: number },
): Promise<WrittenRepository> {
  const folder = join(root, name);
  const blobs = join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const layer = contentOf(Buffer.from(`layer of ${name}`));
  const tags = new Map<string, { image: Image; damaged: boolean }>();
  const descriptors: object[] = [];
  const written: Content[] = [layer];
  for (let at = 0; at < options.manifests; at += 1) {
    const image = imageOf([layer], `image ${at} of ${name}`);
    const damaged = options.damagedEvery > 0 && at % options.damagedEvery === options.damagedEvery - 1;
    const {
      manifest,
      blobs: [config],
    } = image;
    tags.set(`t${at}`, { image, damaged });
    if (config !== undefined) written.push(config);
    written.push(damaged ? { digest: manifest.digest, bytes: Buffer.from(`{"damaged":${at}}`) } : manifest);
    descriptors.push({
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.bytes.length,
      annotations: { 'org.opencontainers.image.ref.name': `t${at}` },
    });
  }
  for (const { digest, bytes } of written)
    await writeFile(join(blobs, digest.slice('sha256:'.length)), bytes);
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: descriptors }));
  return { name, tags };
}

/** A number from 0 to `limit` - 1 that follows from a text, so that samples are the same in each run. */
export function sampleOf(text: string, limit: number): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) % Math.max(1, limit);
}
