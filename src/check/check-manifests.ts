import { RegistryError } from '#oci/errors';
import type { Digest } from '#oci/digest';
import { projectManifest } from '#oci/manifest';
import type { ManifestReference } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import { StorageError } from '#storage';
import type { IndexEntry } from '#storage';
import type { CheckedRepository } from './checked-repository.ts';
import type { FindingKind } from './finding.ts';

/** Larger manifests are served as bytes and not read here. */
const MANIFEST_SIZE_BYTES_MAX = 64 * 1024 * 1024;
/** Tags that are named of those that need something. */
const TAGS_NAMED_MAX = 5;

interface Wanted {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Who needs it, for people: tags, or the manifest that lists it. */
  readonly neededBy: string;
}

/** Looks at everything that the descriptors of index.json lead to. */
export async function checkManifests(repo: CheckedRepository, entries: readonly IndexEntry[]): Promise<void> {
  const seen = new Set<Digest>();
  let pending = wantedByIndex(entries);
  while (pending.length > 0) {
    const found: Wanted[] = [];
    for (const wanted of pending) {
      if (seen.has(wanted.digest)) continue;
      seen.add(wanted.digest);
      found.push(...(await checkOne(repo, wanted)));
    }
    pending = found;
  }
}

/** The descriptors of index.json, those of one manifest joined. */
function wantedByIndex(entries: readonly IndexEntry[]): Wanted[] {
  const tags = new Map<Digest, string[]>();
  for (const { descriptor, tag } of entries) {
    const known = tags.get(descriptor.digest) ?? [];
    if (tag !== null) known.push(tag);
    tags.set(descriptor.digest, known);
  }
  return entries.map(({ descriptor: { digest, mediaType, sizeBytes } }) => {
    return { digest, mediaType, sizeBytes, neededBy: namedTags(tags.get(digest) ?? []) };
  });
}

function namedTags(tags: readonly string[]): string {
  if (tags.length === 0) return 'listed in index.json without a tag';
  const more = tags.length > TAGS_NAMED_MAX ? ` and ${tags.length - TAGS_NAMED_MAX} more` : '';
  return `${tags.length === 1 ? 'tag' : 'tags'} ${tags.slice(0, TAGS_NAMED_MAX).join(', ')}${more}`;
}

/** Looks at one manifest and its blobs, and gives the manifests that it lists. */
async function checkOne(repo: CheckedRepository, wanted: Wanted): Promise<Wanted[]> {
  const { digest, mediaType, neededBy } = wanted;
  if (!(await isThere(repo, wanted, 'manifest-missing', 'manifest-wrong-size'))) return [];
  repo.totals.manifests += 1;
  if (manifestKind(mediaType) === null) return [];
  const bytes = await readProven(repo, wanted);
  if (bytes === null) return [];
  repo.totals.bytesRead += bytes.length;
  try {
    const { references } = projectManifest(bytes, mediaType);
    return await checkReferences(repo, references, `${digest} (${neededBy})`);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    repo.report('manifest-unreadable', {
      digest,
      path: `blobs/${digest.replace(':', '/')}`,
      detail: error.message,
    });
    return [];
  }
}

async function readProven(repo: CheckedRepository, { digest, neededBy }: Wanted): Promise<Buffer | null> {
  try {
    const bytes = await repo.store.readManifest(digest, MANIFEST_SIZE_BYTES_MAX);
    if (bytes !== null) repo.prove(digest);
    return bytes;
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const kind = error.fault === 'corrupt' ? 'manifest-wrong-digest' : 'cannot-be-read';
    repo.reportBlob(kind, digest, error.fault === 'corrupt' ? neededBy : error.message);
    return null;
  }
}

async function checkReferences(
  repo: CheckedRepository,
  references: readonly ManifestReference[],
  neededBy: string,
): Promise<Wanted[]> {
  const children: Wanted[] = [];
  for (const { role, digest, mediaType, sizeBytes, optional } of references) {
    const wanted = { digest, mediaType, sizeBytes, neededBy: `${role} of ${neededBy}` };
    if (role === 'child' && manifestKind(mediaType) !== null) children.push(wanted);
    else if (!optional) await isThere(repo, wanted, 'blob-missing', 'blob-wrong-size');
  }
  return children;
}

/** Whether a content is there in its size; what is not is reported once. */
async function isThere(
  repo: CheckedRepository,
  { digest, sizeBytes, neededBy }: Wanted,
  missing: FindingKind,
  wrongSize: FindingKind,
): Promise<boolean> {
  if (repo.isReported(digest)) return false;
  const stat = await repo.store.statBlob(digest);
  if (stat?.sizeBytes === sizeBytes) return true;
  if (stat === null) repo.reportBlob(missing, digest, neededBy);
  else
    repo.reportBlob(wrongSize, digest, `it has ${stat.sizeBytes} bytes instead of ${sizeBytes}; ${neededBy}`);
  return false;
}
