import type { RepoName } from '#oci/repo-name';
import type { SweepClock } from '../gc/sweep-clock.ts';
import type { TaskContext } from '../scheduler.ts';
import { tagsOf } from './facts.ts';
import type { FactParts, TagFacts } from './facts.ts';
import { TagJudge } from './rules.ts';
import type { RetentionPolicy } from './settings.ts';

export interface PlacedTag {
  readonly facts: TagFacts;
  /** The place of its entry in `keepTags`. */
  readonly entry: number | null;
}

/** All tags of a repository, ready to be judged; `null` when the scheduler stopped before all were seen. */
export async function judgeTags(
  parts: FactParts & { readonly clock: SweepClock },
  repo: RepoName,
  policy: RetentionPolicy,
  context: TaskContext,
): Promise<{ readonly judge: TagJudge; readonly tags: readonly PlacedTag[] } | null> {
  const { records, clock } = parts;
  const pullsBeganMs = await records.beganMs();
  const judge = new TagJudge(policy.keepTags, { ageMs: (atMs) => clock.ageMs(atMs), pullsBeganMs });
  const tags: PlacedTag[] = [];
  for await (const facts of tagsOf(parts, repo, context)) tags.push({ facts, entry: judge.add(facts) });
  // What was not seen could rank before what was.
  return context.signal.aborted ? null : { judge, tags };
}
