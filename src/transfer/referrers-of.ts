import { digestFromParts } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { projectManifest } from '#oci/manifest';
import type { ManifestProjection } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import type { ContentSource } from './manifest-intake.ts';
import type { Root } from './layout-index.ts';

const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Selected manifests of a layout with those that are about them (`subject`), about what they list, and so on: a
 * signature goes with what it signs. What cannot be read is about nothing.
 */
export async function withReferrers(
  selected: readonly Root[],
  all: readonly Root[],
  source: ContentSource,
): Promise<Root[]> {
  const chosen = new Map<Digest, Root>(selected.map((root) => [root.digest, root]));
  const reached = new Set<Digest>();
  for (const root of selected) await reach(root, source, reached);
  const others = all.filter(({ digest }) => !chosen.has(digest));
  for (let grew = true; grew;) {
    grew = false;
    for (const root of others) {
      if (chosen.has(root.digest) || !(await isAbout(root, source, reached))) continue;
      chosen.set(root.digest, root);
      await reach(root, source, reached);
      grew = true;
    }
  }
  return [...chosen.values()];
}

/** A signature by its subject, or by the name that cosign gives one. */
async function isAbout(root: Root, source: ContentSource, reached: ReadonlySet<Digest>): Promise<boolean> {
  for (const tag of root.tags) {
    const [, algorithm = '', hex = ''] = /^(sha256|sha512)-([0-9a-f]+)(?:\.[a-z]+)?$/.exec(tag) ?? [];
    const named = digestFromParts(algorithm, hex);
    if (named !== null && reached.has(named)) return true;
  }
  const subject = (await project(root, source))?.subject ?? null;
  return subject !== null && reached.has(subject);
}

async function reach(
  { digest, mediaType }: Pick<Root, 'digest' | 'mediaType'>,
  source: ContentSource,
  reached: Set<Digest>,
): Promise<void> {
  if (reached.has(digest)) return;
  reached.add(digest);
  for (const child of (await project({ digest, mediaType }, source))?.references ?? [])
    if (child.role === 'child') await reach(child, source, reached);
}

async function project(
  { digest, mediaType }: Pick<Root, 'digest' | 'mediaType'>,
  source: ContentSource,
): Promise<ManifestProjection | null> {
  if (manifestKind(mediaType) === null) return null;
  try {
    const bytes = await source.readManifest(digest, MANIFEST_BYTES_MAX);
    return bytes === null ? null : projectManifest(bytes, mediaType);
  } catch {
    // It is told when it is taken itself.
    return null;
  }
}
