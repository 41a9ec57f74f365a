import type { BlobRow, EntryRow, IndexWriter, NewManifest, RepositorySnapshot } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { projectManifest } from '#oci/manifest';
import type { ManifestProjection, ManifestReference } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import { StorageError, parseIndexFile } from '#storage';
import type { FileStat, IndexFile, RepositoryStore } from '#storage';

/** Manifests of other tools may be larger than those we take; a bound for what is read to know them. */
const MANIFEST_SIZE_BYTES_MAX = 16 * 1024 * 1024;
/** Manifests read at once; each costs a trip to the disk. */
const READS_AT_ONCE = 16;
/** A file this young may be changed again without its times showing it. */
const DOUBTFUL_MS = 2000;

/** Hears of damage met on the way; the rest of the repository is served. */
export type DamageReport = (digest: Digest | null, problem: string) => void;

interface Pending {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/**
 * Reads a repository's layout into rows: every descriptor of index.json in order, and every manifest that can be
 * reached from it, children of indexes included (image-spec, "Image Layout"). Manifests that the index knows
 * already are not read again, since content never changes under its digest.
 * Gives a text when index.json cannot be used.
 */
export async function readLayout(
  store: RepositoryStore,
  index: IndexWriter,
  read: { readonly bytes: Buffer; readonly stat: FileStat },
  report: DamageReport,
): Promise<RepositorySnapshot | string> {
  const file = parseIndexFile(read.bytes);
  if (typeof file === 'string') return file;
  for (const text of file.unreadable)
    report(null, `index.json holds a descriptor that cannot be read: ${text.slice(0, 200)}`);
  const reachable = await readReachable(store, index, file, report);
  const ageOk = read.stat.modifiedMs + DOUBTFUL_MS <= Date.now();
  return {
    repo: store.name,
    state: {
      fingerprint: read.stat.fingerprint,
      doubtfulUntilMs: ageOk ? 0 : Date.now() + DOUBTFUL_MS,
      head: file.head,
      unreadable: file.unreadable,
      problem: null,
    },
    entries: entryRows(file),
    manifests: reachable.read,
    kept: reachable.kept,
    blobs: reachable.blobs,
  };
}

function entryRows(file: IndexFile): EntryRow[] {
  return file.entries.map(({ descriptor, tag, json }, position) => ({
    position,
    digest: descriptor.digest,
    tag,
    json,
  }));
}

/** What a walk over a layout works with, and what it has found. */
interface LayoutWalk {
  readonly store: RepositoryStore;
  readonly index: IndexWriter;
  readonly report: DamageReport;
  readonly read: NewManifest[];
  readonly kept: Digest[];
  /** Blobs with the sizes that manifests give them, where nothing else is known of them. */
  readonly blobs: BlobRow[];
}

async function readReachable(
  store: RepositoryStore,
  index: IndexWriter,
  file: IndexFile,
  report: DamageReport,
): Promise<Pick<LayoutWalk, 'read' | 'kept' | 'blobs'>> {
  const walk: LayoutWalk = { store, index, report, read: [], kept: [], blobs: [] };
  const seen = new Set<Digest>();
  let pending: Pending[] = file.entries.map(({ descriptor }) => descriptor);
  while (pending.length > 0) {
    const fresh = pending.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
    pending = [];
    for (let at = 0; at < fresh.length; at += READS_AT_ONCE) {
      const some = fresh.slice(at, at + READS_AT_ONCE);
      const children = await Promise.all(some.map((item) => visit(item, walk)));
      pending.push(...children.flat());
    }
  }
  return walk;
}

/** Takes one manifest into the result and gives the manifests that it lists. */
async function visit(item: Pending, walk: LayoutWalk): Promise<Pending[]> {
  const { digest, mediaType } = item;
  const { store, index, report } = walk;
  if ((await index.findManifest(store.name, { kind: 'digest', digest })) !== null) {
    // Deleted behind our back, it must go; one stat is what that costs.
    if ((await store.statBlob(digest)) === null) {
      report(digest, 'the manifest is missing');
      return [];
    }
    walk.kept.push(digest);
    const references = await index.listReferences(store.name, digest);
    return references
      .filter(({ role }) => role === 'child')
      .map((child) => ({ digest: child.digest, mediaType: child.mediaType, sizeBytes: 0 }))
      .filter((child) => manifestKind(child.mediaType) !== null);
  }
  const manifest = await readOne(item, store, report);
  if (manifest === null) return [];
  walk.read.push({ digest, mediaType, sizeBytes: manifest.sizeBytes, projection: manifest.projection });
  const references = manifest.projection?.references ?? [];
  await noteBlobs(references, walk);
  return references.filter(({ role, mediaType: type }) => role === 'child' && manifestKind(type) !== null);
}

/**
 * Blobs that a manifest needs are recorded as it describes them: by that a file that is cut off is known as damaged,
 * and a mount finds who holds it, also after the index was lost. Whether they are there is asked of the store.
 */
async function noteBlobs(references: readonly ManifestReference[], walk: LayoutWalk): Promise<void> {
  for (const { role, digest, sizeBytes, optional } of references) {
    if (role === 'child' || optional) continue;
    if ((await walk.index.findBlob(walk.store.name, digest)) === null) walk.blobs.push({ digest, sizeBytes });
  }
}

async function readOne(
  item: Pending,
  store: RepositoryStore,
  report: DamageReport,
): Promise<{ sizeBytes: number; projection: ManifestProjection | null } | null> {
  const { digest, mediaType } = item;
  const stat = await store.statBlob(digest);
  if (stat === null) {
    report(digest, 'the manifest is missing');
    return null;
  }
  // Served as it is, whatever it may be; nothing can follow from it.
  if (manifestKind(mediaType) === null) return { sizeBytes: stat.sizeBytes, projection: null };
  try {
    const bytes = await store.readManifest(digest, MANIFEST_SIZE_BYTES_MAX);
    if (bytes === null) return null;
    return { sizeBytes: bytes.length, projection: projectManifest(bytes, mediaType) };
  } catch (error) {
    if (error instanceof StorageError && error.fault === 'corrupt') {
      report(digest, 'the manifest is damaged: its bytes do not have its digest');
      return { sizeBytes: stat.sizeBytes, projection: null };
    }
    if (error instanceof RegistryError || (error instanceof StorageError && error.fault === 'invalid')) {
      report(digest, `the manifest cannot be read: ${error.message}`);
      return { sizeBytes: stat.sizeBytes, projection: null };
    }
    throw error;
  }
}
