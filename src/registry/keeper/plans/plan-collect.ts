import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { RepositoryStore } from '#storage';
import { NO_CHANGE } from './operation.ts';
import type { GarbageRules, Operation, Plan } from './operation.ts';
import { removalOf } from './plan-delete.ts';
import type { Holdings } from '../tags/tag-rules.ts';

/** Why a manifest is garbage, in zot's words for the log. */
export type GarbageReason = 'deleteUntagged' | 'deleteReferrers' | 'staleManifestPrune';

/** The repository in which something may be garbage, with what is known of it. */
export interface GarbagePlace {
  readonly index: IndexWriter;
  readonly holds: Holdings;
  readonly repo: RepoName;
}

/**
 * Whether a manifest is garbage as things stand: it has no tag, no index lists it, and either it has no subject
 * (`deleteUntagged`) or its subject is gone (`deleteReferrers`, which takes tagged ones too, as zot does). What is held
 * is none, and neither is what refers to something that is held.
 */
export async function garbageReason(
  place: GarbagePlace,
  digest: Digest,
  rules: GarbageRules,
): Promise<GarbageReason | null> {
  const reason = await unheldReason(place, digest, rules);
  return reason !== null && (await place.holds.isHeld(place.repo, digest)) ? null : reason;
}

async function unheldReason(
  { index, holds, repo }: GarbagePlace,
  digest: Digest,
  rules: GarbageRules,
): Promise<GarbageReason | null> {
  if ((await index.findManifest(repo, { kind: 'digest', digest })) === null) return null;
  const parents = await index.listReferencing(repo, digest, { roles: ['child'], limit: 1 });
  if (parents.length > 0) return null;
  const subject = await index.findSubject(repo, digest);
  if (subject !== null) {
    const gone = (await index.findManifest(repo, { kind: 'digest', digest: subject })) === null;
    if (!gone || !rules.deleteReferrers) return null;
    return (await holds.isHeld(repo, subject)) ? null : 'deleteReferrers';
  }
  if (!rules.deleteUntagged) return null;
  const entries = await index.findEntries(repo, { kind: 'digest', digest });
  return entries.some((entry) => entry.tag !== null) ? null : 'deleteUntagged';
}

/**
 * Whether index.json names a manifest whose file is gone. Where no blob is to be found at all, nothing is: perhaps
 * the folder is out of reach.
 */
export async function isDead(index: IndexWriter, store: RepositoryStore, digest: Digest): Promise<boolean> {
  const reference = { kind: 'digest', digest } as const;
  if ((await index.findManifest(store.name, reference)) !== null) return false;
  if ((await index.findEntries(store.name, reference)).length === 0) return false;
  if ((await store.statBlob(digest)) !== null) return false;
  for await (const _blob of store.listBlobs()) return true;
  return false;
}

/** Takes the descriptors of a manifest whose file is gone out of index.json, if it is so still. */
export async function planPruneDead(
  digest: Digest,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  if (!(await isDead(index, store, digest))) return NO_CHANGE;
  return { ...NO_CHANGE, removedEntries: await index.findEntries(store.name, { kind: 'digest', digest }) };
}

/** Whether anything in the repository needs a blob: a manifest that refers to it, or that it is. */
export async function isBlobInUse(index: IndexWriter, repo: RepoName, digest: Digest): Promise<boolean> {
  if ((await index.findManifest(repo, { kind: 'digest', digest })) !== null) return true;
  return (
    (await index.listReferencing(repo, digest, { roles: ['config', 'layer', 'child'], limit: 1 })).length > 0
  );
}

/**
 * Why nothing of a repository may be collected: part of what it says cannot be read, so that nobody knows what is
 * needed. `null`: everything is known.
 */
export async function unknownContent(index: IndexWriter, repo: RepoName): Promise<string | null> {
  const state = await index.findRepository(repo);
  if (state !== null && state.problem !== null) return `index.json cannot be used: ${state.problem}`;
  if (state !== null && state.unreadable.length > 0)
    return 'index.json holds a descriptor that cannot be read';
  const unread = await index.findUnread(repo);
  return unread === null ? null : `the manifest ${unread} cannot be read`;
}

/** Removes a manifest if it is garbage still. Its bytes stay, as a blob that is judged like any other. */
export async function planCollectManifest(
  operation: Extract<Operation, { kind: 'collectManifest' }>,
  place: GarbagePlace,
): Promise<Plan> {
  const { digest, rules, sinceMs } = operation;
  const { index, repo } = place;
  // Pushed again since it was judged: it is young.
  if ((await index.findCandidate(repo, digest))?.sinceMs !== sinceMs) return NO_CHANGE;
  if ((await unknownContent(index, repo)) !== null) return NO_CHANGE;
  if ((await garbageReason(place, digest, rules)) === null || (await operation.isKept())) return NO_CHANGE;
  return { ...(await removalOf(repo, digest, index, sinceMs)), removedFiles: [] };
}

/** Marks a blob that nothing needs, if it was not noted again since it was judged. */
export async function planBuryBlob(
  operation: Extract<Operation, { kind: 'buryBlob' }>,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  const { digest, sinceMs } = operation;
  const noted = await index.findCandidate(store.name, digest);
  if (noted?.sinceMs !== sinceMs || (await isNeeded(index, store.name, digest))) return NO_CHANGE;
  const stat = await store.statBlob(digest);
  return stat === null ? NO_CHANGE : { ...NO_CHANGE, buried: [{ digest, modifiedMs: stat.modifiedMs }] };
}

/** Removes the bytes of a blob if it is buried still, nothing needs it, and nobody wrote it again meanwhile. */
export async function planCollectBlob(
  digest: Digest,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  const tombstone = await index.findTombstone(store.name, digest);
  if (tombstone === null || (await isNeeded(index, store.name, digest))) return NO_CHANGE;
  const stat = await store.statBlob(digest);
  // Another tool may have put the same blob here, and be about to name it in index.json.
  if (stat !== null && stat.modifiedMs !== tombstone.modifiedMs) return NO_CHANGE;
  return { ...NO_CHANGE, removedFiles: [digest], freedBytes: stat?.sizeBytes ?? 0 };
}

/** Removes a repository that names nothing and holds nothing, if its index.json is old enough. */
export async function planRemoveEmpty(
  isOld: (modifiedMs: number) => boolean,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  const stat = await store.statIndex();
  if (stat === null || !isOld(stat.modifiedMs)) return NO_CHANGE;
  if ((await unknownContent(index, store.name)) !== null) return NO_CHANGE;
  const entries = await index.listEntries(store.name, { afterPosition: -1, limit: 1 });
  if (entries.length > 0 || !(await store.holdsNothing())) return NO_CHANGE;
  return { ...NO_CHANGE, removesRepository: true };
}

/** Whether a blob is damaged in another repository, and this copy may be what mends it. */
async function mayMend(index: IndexWriter, repo: RepoName, digest: Digest): Promise<boolean> {
  const [first, second] = await index.listDamagedCopies(digest, { after: '', limit: 2 });
  if (first === undefined || (first.repo === repo && second === undefined)) return false;
  return (await index.findDamage(repo, digest)) === null;
}

async function isNeeded(index: IndexWriter, repo: RepoName, digest: Digest): Promise<boolean> {
  if (await isBlobInUse(index, repo, digest)) return true;
  return (await unknownContent(index, repo)) !== null || (await mayMend(index, repo, digest));
}
