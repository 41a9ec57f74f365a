import type { BlobRow, EntryRow, IndexWriter, NewManifest } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { projectManifest } from '#oci/manifest';
import type { ManifestReference } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { StorageError, descriptorJson } from '#storage';
import type { RepositoryStore } from '#storage';
import type { ManifestPush } from '../keeper-contract.ts';
import { NO_CHANGE } from './operation.ts';
import type { Plan } from './operation.ts';
import { leftUntagged } from './plan-delete.ts';
import { requireRights } from './push-rights.ts';

/** Manifests below an index that were uploaded as plain blobs are read to serve them; a bound for that. */
const CHILD_SIZE_BYTES_MAX = 4 * 1024 * 1024;
/** Indexes in indexes are adopted this deep. */
const ADOPTED_DEPTH_MAX = 3;
const MISSING_NAMED_MAX = 20;
/** References looked at together; each costs a trip to the disk. */
const LOOKS_AT_ONCE = 16;

/**
 * Works out what the push of a manifest does (distribution-spec, "Pushing Manifests"). Throws
 * `DENIED` when the caller's rights do not reach, `MANIFEST_BLOB_UNKNOWN` naming what it refers to and the repository
 * lacks, `MANIFEST_INVALID` when a size is wrong.
 */
export async function planPush(
  push: ManifestPush,
  index: IndexWriter,
  store: RepositoryStore,
  nowMs: number,
): Promise<Plan> {
  await requireRights(push, index);
  const required = await requireReferences(push, index, store);
  const entries = await planEntries(push, index);
  const { digest, mediaType, bytes, projection } = push;
  const own: NewManifest = { digest, mediaType, sizeBytes: bytes.length, projection };
  return {
    ...NO_CHANGE,
    ...entries,
    // Also one that is known: it may have been damaged when it was read, so that nothing of what it says is.
    addedManifests: [own, ...required.children],
    manifestBytes: { digest, bytes },
    foundBlobs: required.found,
    candidates: candidatesOf(push, entries).map((what) => ({ what, sinceMs: nowMs })),
    revived: await buriedOf(push, required.children, index),
  };
}

/** What has no tag now or lost one, and what depends on a subject, may be garbage one day. */
function candidatesOf(push: ManifestPush, entries: Pick<Plan, 'removedEntries' | 'addedEntries'>): Digest[] {
  const untagged = entries.addedEntries.filter((row) => row.tag === null);
  const found = new Set([...untagged, ...entries.removedEntries].map((row) => row.digest));
  if (push.projection.subject !== null) found.add(push.digest);
  return [...found];
}

/**
 * Blobs that were about to be removed, and that this manifest or a child that comes in with it needs: a client that
 * saw them before may rely on them.
 */
async function buriedOf(
  push: ManifestPush,
  children: readonly NewManifest[],
  index: IndexWriter,
): Promise<Digest[]> {
  const buried: Digest[] = [];
  const references = [push.projection, ...children.map(({ projection }) => projection)].flatMap(
    (projection) => projection?.references ?? [],
  );
  for (const digest of new Set([push.digest, ...references.map((reference) => reference.digest)])) {
    if (await index.isTombstoned(push.repo, digest)) buried.push(digest);
  }
  return buried;
}

/** The descriptors of index.json: one for each tag; one without a tag for a manifest that has none. */
async function planEntries(
  push: ManifestPush,
  index: IndexWriter,
): Promise<{
  removedEntries: EntryRow[];
  addedEntries: Omit<EntryRow, 'position'>[];
  isFirstPush: boolean;
}> {
  const removedEntries: EntryRow[] = [];
  const addedEntries: Omit<EntryRow, 'position'>[] = [];
  const present = await index.findEntries(push.repo, { kind: 'digest', digest: push.digest });
  for (const tag of push.tags) {
    const holders = await index.findEntries(push.repo, { kind: 'tag', tag });
    if (holders.length === 1 && holders[0]?.digest === push.digest) continue;
    removedEntries.push(...holders);
    addedEntries.push(entry(push, tag));
  }
  const movedFrom = removedEntries.filter((row) => row.digest !== push.digest);
  const orphans = await leftUntagged(push.repo, movedFrom, index);
  if (addedEntries.length > 0) removedEntries.push(...present.filter((row) => row.tag === null));
  else if (present.length === 0) addedEntries.push(entry(push, null));
  return {
    removedEntries,
    addedEntries: [...orphans, ...addedEntries],
    isFirstPush: present.length === 0,
  };
}

function entry(push: ManifestPush, tag: Tag | null): Omit<EntryRow, 'position'> {
  const { digest, mediaType, bytes } = push;
  return { digest, tag, json: descriptorJson({ mediaType, digest, sizeBytes: bytes.length }, tag) };
}

/** Everything a manifest refers to must be in the repository (distribution-spec, "Pushing Manifests"). */
async function requireReferences(
  push: ManifestPush,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<{ found: BlobRow[]; children: NewManifest[] }> {
  const missing: Digest[] = [];
  const found: BlobRow[] = [];
  const children: NewManifest[] = [];
  const { references } = push.projection;
  for (let at = 0; at < references.length; at += LOOKS_AT_ONCE) {
    const some = references.slice(at, at + LOOKS_AT_ONCE);
    const looks = await Promise.all(some.map((reference) => lookFor(push, reference, index, store)));
    for (const { reference, seen } of looks) {
      if (seen === null && !reference.optional) missing.push(reference.digest);
      if (seen === null) continue;
      requireSize(reference, seen.sizeBytes);
      if (!seen.recorded) found.push({ digest: reference.digest, sizeBytes: seen.sizeBytes });
      if (reference.role !== 'child') continue;
      const adopted = await adoptChild(push.repo, reference, { index, store, depth: 1 });
      if (adopted === null) missing.push(reference.digest);
      else children.push(...adopted);
    }
  }
  if (missing.length > 0) throw unknown(missing, await firstDamaged(push.repo, missing, index));
  return { found, children };
}

/** What a manifest refers to, as it stands in the repository; `seen` is null unless it is there as it was stored. */
interface Look {
  readonly reference: ManifestReference;
  readonly seen: { readonly sizeBytes: number; readonly recorded: boolean } | null;
}

/**
 * The store is asked each time: a file that another tool removed, or that is damaged, is asked for again instead of
 * being promised.
 */
async function lookFor(
  push: ManifestPush,
  reference: ManifestReference,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Look> {
  const { digest, role } = reference;
  const stat = await store.statBlob(digest);
  if (stat === null) return { reference, seen: null };
  const { sizeBytes } = stat;
  const manifest = role === 'child' ? await index.findManifest(push.repo, { kind: 'digest', digest }) : null;
  const known = manifest ?? (await index.findBlob(push.repo, digest));
  const isDamaged = (await index.findDamage(push.repo, digest)) !== null;
  const sound = !isDamaged && (known === null || known.sizeBytes === sizeBytes);
  return { reference, seen: sound ? { sizeBytes, recorded: known !== null } : null };
}

function requireSize(reference: ManifestReference, sizeBytes: number): void {
  if (reference.sizeBytes === sizeBytes) return;
  const { digest } = reference;
  throw new RegistryError('MANIFEST_INVALID', {
    message: `manifest invalid: it says that ${digest} has ${reference.sizeBytes} bytes, but it has ${sizeBytes}`,
    detail: { digest, expected: reference.sizeBytes, actual: sizeBytes },
  });
}

/**
 * A child that came as a plain blob, or whose index was deleted and comes back, becomes a manifest that can be pulled
 * by digest; so do those below it. `null`: it is damaged.
 */
async function adoptChild(
  repo: RepoName,
  reference: ManifestReference,
  where: { readonly index: IndexWriter; readonly store: RepositoryStore; readonly depth: number },
): Promise<NewManifest[] | null> {
  const { digest, mediaType, sizeBytes } = reference;
  const { index, store, depth } = where;
  if (manifestKind(mediaType) === null || depth > ADOPTED_DEPTH_MAX) return [];
  if ((await index.findManifest(repo, { kind: 'digest', digest })) !== null) return [];
  const bytes = await readSound(store, digest);
  if (bytes === null) return null;
  const projection = projectManifest(bytes, mediaType);
  const adopted: NewManifest[] = [{ digest, mediaType, sizeBytes, projection }];
  for (const below of projection.references) {
    if (below.role !== 'child') continue;
    // What is wrong further down was so before.
    adopted.push(...((await adoptChild(repo, below, { ...where, depth: depth + 1 })) ?? []));
  }
  return adopted;
}

async function readSound(store: RepositoryStore, digest: Digest): Promise<Buffer | null> {
  try {
    return await store.readManifest(digest, CHILD_SIZE_BYTES_MAX);
  } catch (error) {
    if (error instanceof StorageError && error.fault === 'corrupt') return null;
    throw error;
  }
}

async function firstDamaged(
  repo: RepoName,
  digests: readonly Digest[],
  index: IndexWriter,
): Promise<Digest | null> {
  for (const digest of digests) if ((await index.findDamage(repo, digest)) !== null) return digest;
  return null;
}

/** `damaged` is there, but its bytes are not right. */
function unknown(missing: readonly Digest[], damaged: Digest | null): RegistryError {
  const named = missing.slice(0, MISSING_NAMED_MAX);
  const more = missing.length > named.length ? ` and ${missing.length - named.length} more` : '';
  const why =
    damaged === null ? '' : `; the stored bytes of ${damaged} are damaged, pushing it again mends it`;
  return new RegistryError('MANIFEST_BLOB_UNKNOWN', {
    message: `manifest references content that this repository lacks: ${named.join(', ')}${more}${why}`,
    detail: {
      digest: named.join(','),
      missing: named,
      ...(damaged === null ? {} : { reason: 'damaged' }),
    },
  });
}
