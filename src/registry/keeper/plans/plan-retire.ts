import type { EntryRow, IndexWriter } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import { NO_CHANGE } from './operation.ts';
import type { Operation, Plan, TagToRetire } from './operation.ts';
import { withoutEntries } from './plan-delete.ts';
import type { RepositoryWatch } from '../removal/repository-watch.ts';

/**
 * Removes tags that a judgement found to be in excess. What happened since then wins: a tag that names something
 * else now, or was pushed again, or was pulled where that keeps it, stays; and none goes when something left that
 * counted in the judgement, or when `index.json` cannot be used.
 */
export async function planRetire(
  repo: RepoName,
  operation: Extract<Operation, { kind: 'retire' }>,
  index: IndexWriter,
  nowMs: number,
): Promise<Plan> {
  const { tags, watch, onPlan } = operation;
  onPlan([]);
  const state = await index.findRepository(repo);
  if (state === null || state.problem !== null) return NO_CHANGE;
  const leaving: { readonly tag: TagToRetire['tag']; readonly entries: readonly EntryRow[] }[] = [];
  for (const { tag, digest, isKeptByPull } of tags) {
    if (isSpared({ digest, isKeptByPull }, watch)) continue;
    const entries = await index.findEntries(repo, { kind: 'tag', tag });
    if (entries.length === 0 || entries.some((entry) => entry.digest !== digest)) continue;
    leaving.push({ tag, entries });
  }
  // What is planned beside this one after this look counts as coming after it.
  if (watch.isOvertaken || leaving.length === 0) return NO_CHANGE;
  onPlan(leaving.map(({ tag }) => tag));
  return withoutEntries(
    repo,
    leaving.flatMap(({ entries }) => entries),
    index,
    nowMs,
  );
}

function isSpared(
  { digest, isKeptByPull }: Pick<TagToRetire, 'digest' | 'isKeptByPull'>,
  watch: RepositoryWatch,
): boolean {
  return watch.isPushed(digest) || (isKeptByPull && watch.isPulled(digest));
}
