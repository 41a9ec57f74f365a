import type { EntryRow, IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { NO_CHANGE } from './operation.ts';
import type { Plan } from './operation.ts';

/** Descriptors that go in one step: as many as most repositories have. */
const ENTRIES_MAX = 500;

/**
 * Takes descriptors out of a repository that is to be removed, with the manifests that nothing else lists. Their bytes
 * are left to whoever removes the repository.
 */
export async function planClear(repo: RepoName, index: IndexWriter): Promise<Plan> {
  const removedEntries = await index.listEntries(repo, { afterPosition: -1, limit: ENTRIES_MAX });
  return { ...NO_CHANGE, removedEntries, removedManifests: await removedWith(removedEntries, repo, index) };
}

/** Manifests without another descriptor or an index that stays; children that were known only through them go too. */
async function removedWith(
  entries: readonly EntryRow[],
  repo: RepoName,
  index: IndexWriter,
): Promise<Digest[]> {
  const positions = new Set(entries.map(({ position }) => position));
  const candidates = new Set(entries.map(({ digest }) => digest));
  const removed = new Set<Digest>();
  for (let before = -1; before !== removed.size + candidates.size;) {
    before = removed.size + candidates.size;
    for (const digest of candidates) {
      if (removed.has(digest) || !(await isFree(digest, { positions, removed, repo, index }))) continue;
      removed.add(digest);
      const references = await index.listReferences(repo, digest);
      for (const { digest: child } of references.filter(({ role }) => role === 'child'))
        candidates.add(child);
    }
  }
  return [...removed];
}

/** Whether nothing holds a manifest but descriptors at these positions and manifests that are removed too. */
async function isFree(
  digest: Digest,
  where: {
    readonly positions: ReadonlySet<number>;
    readonly removed: ReadonlySet<Digest>;
    readonly repo: RepoName;
    readonly index: IndexWriter;
  },
): Promise<boolean> {
  const { positions, removed, repo, index } = where;
  const left = await index.findEntries(repo, { kind: 'digest', digest });
  if (left.some(({ position }) => !positions.has(position))) return false;
  const limit = removed.size + 2;
  const parents = await index.listReferencing(repo, digest, { roles: ['child'], limit });
  return parents.every((parent) => removed.has(parent) || parent === digest);
}
