import type { IndexWriter } from '#metadata';
import { HELD_SINCE_MS } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepositoryStore } from '#storage';
import { NO_CHANGE } from './operation.ts';
import type { Plan } from './operation.ts';
import { isBlobInUse } from './plan-collect.ts';
import { removalOf } from './plan-delete.ts';
import type { TagHistory } from '../tags/tag-history.ts';

/** What a purge takes away below `root`. */
export interface PurgeStep {
  readonly digest: Digest;
  /** The purged manifest, whose own hold does not count. */
  readonly root: Digest;
}

/** Removes a manifest that only a purged one listed: it has no tag, no index lists it, and nothing else holds it. */
export async function planPurgeChild(
  { digest, root }: PurgeStep,
  index: IndexWriter,
  store: RepositoryStore,
  history: TagHistory,
): Promise<Plan> {
  const repo = store.name;
  if ((await index.findManifest(repo, { kind: 'digest', digest })) === null) return NO_CHANGE;
  const parents = await index.listReferencing(repo, digest, { roles: ['child'], limit: 1 });
  const entries = await index.findEntries(repo, { kind: 'digest', digest });
  if (parents.length > 0 || entries.some(({ tag }) => tag !== null)) return NO_CHANGE;
  if (await history.isHeldByOthers(repo, digest, root)) return NO_CHANGE;
  return { ...(await removalOf(repo, digest, index, 0)), removedFiles: [] };
}

/** Removes the bytes of a blob that no manifest of the repository needs. Whether it is held is asked afterwards. */
export async function planPurgeBlob(
  { digest }: PurgeStep,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  if (await isBlobInUse(index, store.name, digest)) return NO_CHANGE;
  return (await store.statBlob(digest)) === null ? NO_CHANGE : { ...NO_CHANGE, removedFiles: [digest] };
}

/** Gives a blob that was kept absent while it was held the grace of any other. */
export async function planReleaseHold(
  { digest, root }: PurgeStep,
  index: IndexWriter,
  store: RepositoryStore,
  history: TagHistory,
): Promise<Plan> {
  const tombstone = await index.findTombstone(store.name, digest);
  if (tombstone?.sinceMs !== HELD_SINCE_MS) return NO_CHANGE;
  if (await history.isHeldByOthers(store.name, digest, root)) return NO_CHANGE;
  return { ...NO_CHANGE, buried: [{ digest, modifiedMs: tombstone.modifiedMs }] };
}

/** Marks a blob that nothing uses and that somebody holds; whether it is held is asked afterwards. */
export async function planHideHeld(
  digest: Digest,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  if (await isBlobInUse(index, store.name, digest)) return NO_CHANGE;
  if ((await index.findTombstone(store.name, digest)) !== null) return NO_CHANGE;
  const stat = await store.statBlob(digest);
  if (stat === null) return NO_CHANGE;
  return { ...NO_CHANGE, buried: [{ digest, modifiedMs: stat.modifiedMs, held: true }] };
}
