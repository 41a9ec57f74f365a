import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { NO_CHANGE } from './operation.ts';
import type { GarbageRules, Operation, Plan } from './operation.ts';
import { removalOf } from './plan-delete.ts';

/** Why a manifest is garbage, in zot's words for the log. */
export type GarbageReason = 'deleteUntagged' | 'deleteReferrers';

/**
 * Whether a manifest is garbage as things stand: it has no tag, no index lists it, and either it has no subject
 * (`deleteUntagged`) or its subject is gone (`deleteReferrers`, which takes tagged ones too, as zot does).
 */
export async function garbageReason(
  index: IndexWriter,
  repo: RepoName,
  digest: Digest,
  rules: GarbageRules,
): Promise<GarbageReason | null> {
  if ((await index.findManifest(repo, { kind: 'digest', digest })) === null) return null;
  const subject = await index.findSubject(repo, digest);
  if (subject !== null) {
    const gone = (await index.findManifest(repo, { kind: 'digest', digest: subject })) === null;
    return gone && rules.deleteReferrers ? 'deleteReferrers' : null;
  }
  if (!rules.deleteUntagged) return null;
  const entries = await index.findEntries(repo, { kind: 'digest', digest });
  if (entries.some((entry) => entry.tag !== null)) return null;
  const parents = await index.listReferencing(repo, digest, { roles: ['child'], limit: 1 });
  return parents.length === 0 ? 'deleteUntagged' : null;
}

/** Whether anything in the repository needs a blob: a manifest that refers to it, or that it is. */
export async function isBlobInUse(index: IndexWriter, repo: RepoName, digest: Digest): Promise<boolean> {
  if ((await index.findManifest(repo, { kind: 'digest', digest })) !== null) return true;
  return (
    (await index.listReferencing(repo, digest, { roles: ['config', 'layer', 'child'], limit: 1 })).length > 0
  );
}

/** Removes a manifest if it is garbage still; what it held is looked at in the same sweep. */
export async function planCollectManifest(
  repo: RepoName,
  operation: Extract<Operation, { kind: 'collectManifest' }>,
  index: IndexWriter,
): Promise<Plan> {
  const reason = await garbageReason(index, repo, operation.digest, operation.rules);
  return reason === null ? NO_CHANGE : removalOf(repo, operation.digest, index, operation.sinceMs);
}

/** Removes the bytes of a blob if it is buried still and nothing needs it. */
export async function planCollectBlob(repo: RepoName, digest: Digest, index: IndexWriter): Promise<Plan> {
  if (!(await index.isTombstoned(repo, digest))) return NO_CHANGE;
  if (await isBlobInUse(index, repo, digest)) return NO_CHANGE;
  return { ...NO_CHANGE, removedFiles: [digest] };
}
