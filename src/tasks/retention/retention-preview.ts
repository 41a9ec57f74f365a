/** What retention would do to the tags of one store, repository after repository; nothing is changed or noted. */
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { LocalKeeper } from '#registry';
import type { Store } from '#storage';
import type { SweepClock } from '../gc/sweep-clock.ts';
import type { TaskContext } from '../scheduler.ts';
import { repositoriesOf } from './facts.ts';
import type { FactParts, TagFacts } from './facts.ts';
import { judgeTags } from './judged-tags.ts';
import { danglingTags } from './legacy-signatures.ts';
import { PolicyUse } from './policy-use.ts';
import type { PolicyRemark } from './policy-use.ts';
import { DANGLING_REASON, goneReason, keptReason } from './retention-log.ts';
import type { KeepRule, Verdict } from './rules.ts';
import type { RetentionPolicy, RetentionSettings } from './settings.ts';

export interface PreviewParts extends FactParts {
  readonly keeper: LocalKeeper;
  readonly clock: SweepClock;
  readonly store: Store;
  readonly retention: RetentionSettings;
  /** How old a signature must be whose subject is gone. */
  readonly delayMs: number;
  /** Tell also of tags that stay. */
  readonly all: boolean;
  readonly tell: (report: PreviewReport) => Promise<void>;
}

/** First the repository, then its tags in pages. */
export type PreviewReport =
  | {
      readonly kind: 'repository';
      readonly repository: RepoName;
      /** The place of the policy that is about it, from 0; `null`: none is, and all stays. */
      readonly policy: number | null;
      readonly tags: number;
      readonly gone: number;
    }
  | { readonly kind: 'tags'; readonly tags: readonly PreviewedTag[] };

export interface PreviewedTag {
  readonly tag: Tag;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly decision: 'keep' | 'delete';
  /** The place of its entry in `keepTags`, from 0; `null`: none matches it. */
  readonly entry: number | null;
  /** Every rule that keeps it. */
  readonly keptBy: readonly KeepRule[];
  /** Why it stays or goes, in zot's words. */
  readonly reason: string;
  readonly pushedMs: number | null;
  readonly pulledMs: number | null;
  readonly pulls: number;
}

export interface PreviewSummary {
  readonly repositories: number;
  /** Repositories that a policy is about. */
  readonly judged: number;
  readonly tags: number;
  readonly gone: number;
  readonly remarks: readonly PolicyRemark[];
}

const TAGS_PAGE = 500;

export class RetentionPreview {
  readonly #parts: PreviewParts;
  readonly #context: TaskContext;
  readonly #use: PolicyUse;
  readonly #counts = { repositories: 0, judged: 0, tags: 0, gone: 0 };

  constructor(parts: PreviewParts, context: TaskContext) {
    this.#parts = parts;
    this.#context = context;
    this.#use = new PolicyUse(parts.retention.policies);
  }

  async run(): Promise<PreviewSummary> {
    for await (const repo of repositoriesOf(this.#parts, this.#context)) await this.#look(repo);
    return { ...this.#counts, remarks: this.#use.remarks() };
  }

  async #look(repo: RepoName): Promise<void> {
    this.#counts.repositories += 1;
    const policy = this.#parts.retention.policyOf(repo);
    this.#use.repository(repo, policy);
    if (policy === null) {
      if (this.#parts.all)
        await this.#parts.tell({ kind: 'repository', repository: repo, policy: null, tags: 0, gone: 0 });
      return;
    }
    this.#counts.judged += 1;
    // Only to be up to date: what happens from then on is of the next look.
    (await this.#parts.keeper.retention.open(repo)).close();
    await this.#judge(repo, policy);
  }

  async #judge(repo: RepoName, policy: RetentionPolicy): Promise<void> {
    const judged = await judgeTags(this.#parts, repo, policy, this.#context);
    if (judged === null) return;
    const dangling = await this.#dangling(repo, policy);
    const { judge, tags } = judged;
    const shown: PreviewedTag[] = [];
    let gone = 0;
    for (const { facts, entry } of tags) {
      this.#use.tag(policy, facts.name, entry);
      const { keptBy } = judge.judge(facts, entry);
      const seen = previewed(facts, { keptBy, entry }, dangling.has(facts.name));
      if (seen.decision === 'delete') gone += 1;
      if (seen.decision === 'delete' || this.#parts.all) shown.push(seen);
      await this.#context.pause();
    }
    this.#counts.tags += tags.length;
    this.#counts.gone += gone;
    if (shown.length === 0 && !this.#parts.all) return;
    const { place } = policy;
    const { tell } = this.#parts;
    await tell({ kind: 'repository', repository: repo, policy: place, tags: tags.length, gone });
    for (let at = 0; at < shown.length; at += TAGS_PAGE)
      await tell({ kind: 'tags', tags: shown.slice(at, at + TAGS_PAGE) });
  }

  /** Signatures that are tags, whose subject is gone and which are old enough. */
  async #dangling(repo: RepoName, policy: RetentionPolicy): Promise<ReadonlySet<Tag>> {
    const { index, storage, clock, delayMs } = this.#parts;
    const found = new Set<Tag>();
    if (!policy.garbage.deleteReferrers) return found;
    for await (const { tag, digest } of danglingTags(index, repo, this.#context)) {
      const stat = await storage.repository(repo).statBlob(digest);
      if (stat !== null && clock.ageMs(stat.modifiedMs) >= delayMs) found.add(tag);
    }
    return found;
  }
}

function previewed(facts: TagFacts, verdict: Verdict, isDangling: boolean): PreviewedTag {
  const { name: tag, digest, mediaType, pushedMs, pulledMs, pulls } = facts;
  const [rule] = verdict.keptBy;
  const isKept = rule !== undefined && !isDangling;
  let reason = rule === undefined ? goneReason(verdict) : keptReason(rule);
  if (rule !== undefined && isDangling) reason = DANGLING_REASON;
  const decision = isKept ? 'keep' : 'delete';
  return { tag, digest, mediaType, decision, ...verdict, reason, pushedMs, pulledMs, pulls };
}
