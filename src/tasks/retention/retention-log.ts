import type { Logger } from '#lib/logger';
import type { RepoName } from '#oci/repo-name';
import type { TagFacts } from './facts.ts';
import type { Facts, KeepRule, Verdict } from './rules.ts';

const NS_PER_MS = 1_000_000;

/** zot's words for the rule that keeps something. */
export function keptReason(rule: KeepRule): string {
  if (rule.name === 'patterns') return 'retained by patterns policy';
  if (rule.name === 'no statistics') return 'tag statistics not found';
  if ('count' in rule) return `retained by ${rule.name}:${rule.count} policy`;
  const policy = `${rule.name}:${Math.round(rule.withinMs * NS_PER_MS)} policy`;
  return rule.isUnknown === true ? `pulls are not known for as long as ${policy}` : `retained by ${policy}`;
}

/** zot's words for why a tag goes. */
export function goneReason(verdict: Verdict): string {
  return verdict.entry === null
    ? "didn't meet any tag 'patterns' rules"
    : "didn't meet any tag retention rule";
}

export const UNTAGGED_REASON = "didn't meet any untagged retention rule";

export interface Decisions {
  readonly logger: Logger;
  readonly repo: RepoName;
  readonly dryRun: boolean;
}

/** What a line tells of a tag. */
export type LoggedTag = Pick<TagFacts, 'name' | 'digest' | 'mediaType' | 'pushedMs' | 'pulledMs'>;

/** One line for the decision about a tag, with zot's message and fields. */
export function logTag({ logger, repo, dryRun }: Decisions, facts: LoggedTag, verdict: Verdict): void {
  const [rule] = verdict.keptBy;
  const { name: tag, digest, mediaType } = facts;
  const base = { module: 'retention', 'dry-run': dryRun, repository: repo };
  if (rule?.name === 'no statistics') {
    logger.info({ ...base, tag, decision: 'keep', reason: keptReason(rule) }, 'will keep tag');
    return;
  }
  const decision = rule === undefined ? 'delete' : 'keep';
  const reason = rule === undefined ? goneReason(verdict) : keptReason(rule);
  logger.info({ ...base, mediaType, digest, tag, ...times(facts), decision, reason }, 'applied policy');
}

/** Why a signature that is a tag goes when its subject is gone, in zot's words. */
export const DANGLING_REASON = 'deleteReferrers';

/** One line for a signature that is a tag, and whose subject is gone; zot collects those with garbage. */
export function logDangling(
  { logger, repo, dryRun }: Decisions,
  { name, digest }: Pick<LoggedTag, 'name' | 'digest'>,
): void {
  const facts = { module: 'gc', repository: repo, reference: name, digest, decision: 'delete' };
  logger.info({ ...facts, reason: DANGLING_REASON, 'dry-run': dryRun }, 'removed manifest without reference');
}

/** One line for the decision about a manifest without a tag that rules look at. */
export function logUntagged(
  { logger, repo, dryRun }: Decisions,
  facts: Omit<Facts, 'allPullsKnown'>,
  rule: KeepRule | null,
): void {
  const base = { module: 'retention', 'dry-run': dryRun, repository: repo, reference: facts.name };
  const decision = rule === null ? 'delete' : 'keep';
  const reason = rule === null ? UNTAGGED_REASON : keptReason(rule);
  logger.info({ ...base, ...times(facts), decision, reason }, 'applied untagged policy');
}

function times({ pulledMs, pushedMs }: Pick<Facts, 'pulledMs' | 'pushedMs'>): {
  lastPullTimestamp: string;
  pushTimestamp: string;
} {
  return { lastPullTimestamp: timeText(pulledMs), pushTimestamp: timeText(pushedMs) };
}

/** A moment as text; Go's zero time when there is none. */
function timeText(atMs: number | null): string {
  // A file may say any time, also one that no date can hold.
  const date = new Date(atMs ?? NaN);
  return Number.isNaN(date.getTime()) ? '0001-01-01T00:00:00Z' : date.toISOString();
}
