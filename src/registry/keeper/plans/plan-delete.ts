import type { EntryRow, IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { withoutTag } from '#storage';
import type { RepositoryStore } from '#storage';
import { NO_CHANGE } from './operation.ts';
import type { Plan } from './operation.ts';

/** Referrers of one manifest that are noted when it goes; a full sweep finds the rest. */
const REFERRERS_MAX = 10_000;
const TAGS_NAMED_MAX = 20;

/**
 * Deletes a tag (distribution-spec, "Deleting tags"); the manifest that it named stays, without a tag when it was
 * the last.
 */
export async function planDeleteTag(
  repo: RepoName,
  tag: Tag,
  index: IndexWriter,
  nowMs: number,
): Promise<Plan> {
  const holders = await index.findEntries(repo, { kind: 'tag', tag });
  if (holders.length === 0) throw new RegistryError('MANIFEST_UNKNOWN', { detail: { reference: tag } });
  return withoutEntries(repo, holders, index, nowMs);
}

/** Takes descriptors with tags away; a manifest that loses its last one stays listed without a tag. */
export async function withoutEntries(
  repo: RepoName,
  holders: readonly EntryRow[],
  index: IndexWriter,
  nowMs: number,
): Promise<Plan> {
  const addedEntries = await leftUntagged(repo, holders, index);
  const candidates = [...new Set(holders.map(({ digest }) => digest))].map((what) => ({
    what,
    sinceMs: nowMs,
  }));
  return { ...NO_CHANGE, removedEntries: holders, addedEntries, candidates };
}

/**
 * Descriptors for manifests that lose their last tag with these: they stay listed without one, so that they can still
 * be pulled by digest.
 */
export async function leftUntagged(
  repo: RepoName,
  leaving: readonly EntryRow[],
  index: IndexWriter,
): Promise<Omit<EntryRow, 'position'>[]> {
  const left: Omit<EntryRow, 'position'>[] = [];
  for (const [digest, [first, ...more]] of Map.groupBy(leaving, ({ digest }) => digest)) {
    const all = await index.findEntries(repo, { kind: 'digest', digest });
    if (first === undefined || all.length > 1 + more.length) continue;
    left.push({ digest, tag: null, json: withoutTag(first.json) });
  }
  return left;
}

/**
 * Deletes a manifest with all its tags (distribution-spec, "Deleting Manifests"). Throws `DENIED` (405, as zot)
 * while an index lists it, and `DENIED` (409) when it has more tags than the caller is to remove at once.
 */
export async function planDeleteManifest(
  repo: RepoName,
  { digest, tagsMax }: { readonly digest: Digest; readonly tagsMax: number },
  index: IndexWriter,
  nowMs: number,
): Promise<Plan> {
  const entries = await index.findEntries(repo, { kind: 'digest', digest });
  const manifest = await index.findManifest(repo, { kind: 'digest', digest });
  if (entries.length === 0 && manifest === null) {
    throw new RegistryError('MANIFEST_UNKNOWN', { detail: { reference: digest } });
  }
  requireFewTags(entries, digest, tagsMax);
  const parents = await otherParents(index, repo, digest, new Set([digest]));
  if (parents.length > 0) {
    throw new RegistryError('DENIED', {
      status: 405,
      message: `the manifest is listed by the index ${parents[0]}: delete that first`,
      detail: { reference: digest, index: parents[0] ?? '' },
    });
  }
  return removalOf(repo, digest, index, nowMs);
}

function requireFewTags(entries: readonly EntryRow[], digest: Digest, tagsMax: number): void {
  const tags = entries.flatMap((row) => (row.tag === null ? [] : [row.tag]));
  if (tags.length <= tagsMax) return;
  throw new RegistryError('DENIED', {
    status: 409,
    message: `the manifest has ${tags.length} tags, and all of them would be deleted: delete the tags one by one`,
    detail: { reference: digest, tags: tags.slice(0, TAGS_NAMED_MAX) },
  });
}

/** Removes a manifest that nothing holds any more; what it held may be garbage since `sinceMs`. */
export async function removalOf(
  repo: RepoName,
  digest: Digest,
  index: IndexWriter,
  sinceMs: number,
): Promise<Plan> {
  const entries = await index.findEntries(repo, { kind: 'digest', digest });
  const removedManifests = await withUnlistedChildren(index, repo, digest);
  const held = await heldBy(index, repo, removedManifests);
  // Some artifact may use the same bytes as a layer.
  const users = await index.listReferencing(repo, digest, { roles: ['config', 'layer'], limit: 1 });
  return {
    ...NO_CHANGE,
    removedEntries: entries,
    removedManifests,
    removedFiles: users.length > 0 ? [] : [digest],
    candidates: held.map((what) => ({ what, sinceMs })),
  };
}

/** Deletes a blob. Throws `BLOB_UNKNOWN`, or `DENIED` (405, as zot) while a manifest uses it. */
export async function planDeleteBlob(
  repo: RepoName,
  digest: Digest,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  if ((await store.statBlob(digest)) === null)
    throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } });
  const users = await index.listReferencing(repo, digest, { roles: ['config', 'layer', 'child'], limit: 1 });
  const manifest = await index.findManifest(repo, { kind: 'digest', digest });
  const user = users[0] ?? manifest?.digest;
  if (user !== undefined) {
    throw new RegistryError('DENIED', {
      status: 405,
      message: `the blob is in use by the manifest ${user}`,
      detail: { digest, manifest: user },
    });
  }
  return { ...NO_CHANGE, removedFiles: [digest] };
}

/** What manifests refer to, and what refers to them as their subject. */
async function heldBy(index: IndexWriter, repo: RepoName, manifests: readonly Digest[]): Promise<Digest[]> {
  const held = new Set<Digest>();
  for (const digest of manifests) {
    for (const reference of await index.listReferences(repo, digest)) held.add(reference.digest);
    // Its own file too, should a crash leave it behind.
    held.add(digest);
    for (const referrer of await index.listReferrerDigests(repo, digest, { after: '', limit: REFERRERS_MAX }))
      held.add(referrer);
  }
  return [...held];
}

/** The manifest, and what was known only through it: children that have no descriptor and no other parent. */
async function withUnlistedChildren(index: IndexWriter, repo: RepoName, digest: Digest): Promise<Digest[]> {
  const removed = new Set([digest]);
  const pending = [digest];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    for (const { digest: child, role } of await index.listReferences(repo, parent)) {
      if (role !== 'child' || removed.has(child)) continue;
      if ((await index.findEntries(repo, { kind: 'digest', digest: child })).length > 0) continue;
      if ((await otherParents(index, repo, child, removed)).length > 0) continue;
      removed.add(child);
      pending.push(child);
    }
  }
  return [...removed];
}

/** Indexes that list a digest, those of `removed` not counted; one more than those is enough to know. */
async function otherParents(
  index: IndexWriter,
  repo: RepoName,
  digest: Digest,
  removed: ReadonlySet<Digest>,
): Promise<Digest[]> {
  const parents = await index.listReferencing(repo, digest, { roles: ['child'], limit: removed.size + 1 });
  return parents.filter((parent) => !removed.has(parent));
}
