/** What collection would do to the manifests without a tag of one repository; nothing is changed or noted. */
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { garbageReason, unknownContent } from '#registry';
import type { GarbageReason, LocalKeeper } from '#registry';
import type { GcSettings } from '../gc/gc-rules.ts';
import type { SweepClock } from '../gc/sweep-clock.ts';
import type { TaskContext } from '../scheduler.ts';
import { entriesOf, factsOf } from './facts.ts';
import type { FactParts } from './facts.ts';
import { UNTAGGED_REASON, keptReason } from './retention-log.ts';
import type { KeepGroup, KeepRule } from './rules.ts';
import { untaggedGroup } from './untagged.ts';

export interface UntaggedPreviewParts extends FactParts {
  readonly keeper: LocalKeeper;
  readonly clock: SweepClock;
  readonly settings: GcSettings;
}

export interface PreviewedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly decision: 'keep' | 'delete';
  /** Every rule of `keepUntagged` that keeps it. */
  readonly keptBy: readonly KeepRule[];
  /** Why it stays or goes; where zot has words for it, these. */
  readonly reason: string;
  /** When `retention.delay` is over, before which it does not go; `null` for what stays. */
  readonly dueMs: number | null;
  readonly pushedMs: number | null;
  readonly pulledMs: number | null;
  readonly pulls: number;
}

/** What may ever go: without a tag, listed by no index, and about nothing that is there. */
const ANY_GARBAGE = { deleteUntagged: true, deleteReferrers: true };

/** How a repository judges what has no tag. */
interface Judging {
  /** `null`: no rule keeps any. */
  readonly group: KeepGroup | null;
  /** Why nothing of it is collected at all. */
  readonly unknown: string | null;
}

/**
 * Manifests without a tag that nothing needs, each with what would become of it. Left out are children of indexes,
 * what is about a manifest that is there, and what undo holds.
 */
export async function* untaggedOf(
  parts: UntaggedPreviewParts,
  repo: RepoName,
  context: TaskContext,
): AsyncGenerator<PreviewedManifest> {
  const { index, keeper } = parts;
  const place = { index, holds: keeper.tags, repo };
  let judging: Judging | null = null;
  for await (const { tag, digest, json } of entriesOf(index, repo, context)) {
    if (tag !== null) continue;
    const garbage = await garbageReason(place, digest, ANY_GARBAGE);
    if (garbage === null || garbage === 'staleManifestPrune') continue;
    judging ??= await judgingOf(parts, repo, context);
    const { mediaType } = JSON.parse(json) as { mediaType?: unknown };
    const seen = await previewed(parts, repo, { digest, garbage, judging });
    yield { ...seen, digest, mediaType: typeof mediaType === 'string' ? mediaType : '' };
  }
}

async function judgingOf(
  parts: UntaggedPreviewParts,
  repo: RepoName,
  context: TaskContext,
): Promise<Judging> {
  const rules = parts.settings.retention.policyOf(repo)?.keepUntagged ?? null;
  const why = await unknownContent(parts.index, repo);
  return {
    group: rules === null ? null : await untaggedGroup(parts, repo, { rules, context }),
    unknown: why === null ? null : `nothing of this repository is collected, since ${why}`,
  };
}

async function previewed(
  parts: UntaggedPreviewParts,
  repo: RepoName,
  found: {
    readonly digest: Digest;
    readonly garbage: Exclude<GarbageReason, 'staleManifestPrune'>;
    readonly judging: Judging;
  },
): Promise<Omit<PreviewedManifest, 'digest' | 'mediaType'>> {
  const { digest, garbage, judging } = found;
  const { pushedMs, pulledMs, pulls, ...more } = await factsOf(parts, repo, { name: digest, digest });
  const seen = { pushedMs, pulledMs, pulls };
  const stays = { ...seen, decision: 'keep', dueMs: null } as const;
  if (judging.unknown !== null) return { ...stays, keptBy: [], reason: judging.unknown };
  if (!parts.settings.rulesOf(repo)[garbage]) return { ...stays, keptBy: [], reason: `${garbage} is off` };
  const group = garbage === 'deleteUntagged' ? judging.group : null;
  const keptBy = group?.keptBy({ ...more, pushedMs, pulledMs }) ?? [];
  const [rule] = keptBy;
  if (rule !== undefined) return { ...stays, keptBy, reason: keptReason(rule) };
  const reason = group === null ? garbage : UNTAGGED_REASON;
  return { ...seen, decision: 'delete', keptBy, reason, dueMs: await dueOf(parts, repo, digest) };
}

/** Its age counts since it was noted as garbage; where it was not yet, since its file was written, as then. */
async function dueOf(
  { index, storage, clock, settings }: UntaggedPreviewParts,
  repo: RepoName,
  digest: Digest,
): Promise<number> {
  const noted = (await index.findCandidate(repo, digest))?.sinceMs;
  const writtenMs = noted ?? (await storage.repository(repo).statBlob(digest))?.modifiedMs ?? Infinity;
  return Math.min(writtenMs, clock.nowMs()) + settings.manifestDelayMs;
}
