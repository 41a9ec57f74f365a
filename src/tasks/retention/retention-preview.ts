/**
 * What retention would do to the tags of one store, and collection to its manifests without a tag, repository after
 * repository; nothing is changed or noted.
 */
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { LocalKeeper } from '#registry';
import type { Store } from '#storage';
import type { GcSettings } from '../gc/gc-rules.ts';
import type { SweepClock } from '../gc/sweep-clock.ts';
import type { TaskContext } from '../scheduler.ts';
import { repositoriesOf } from './facts.ts';
import type { FactParts, TagFacts } from './facts.ts';
import { judgeTags } from './judged-tags.ts';
import { danglingTags } from './legacy-signatures.ts';
import { PolicyUse } from './policy-use.ts';
import type { PolicyRemark } from './policy-use.ts';
import { untaggedOf } from './preview-untagged.ts';
import type { PreviewedManifest } from './preview-untagged.ts';
import { DANGLING_REASON, goneReason, keptReason } from './retention-log.ts';
import type { KeepRule, Verdict } from './rules.ts';
import type { RetentionPolicy } from './settings.ts';

export interface PreviewParts extends FactParts {
  readonly keeper: LocalKeeper;
  readonly clock: SweepClock;
  readonly store: Store;
  readonly settings: GcSettings;
  /** Tell also of what stays. */
  readonly all: boolean;
  readonly tell: (report: PreviewReport) => Promise<void>;
}

/** First the repository, then its tags in pages, then its manifests without a tag. */
export type PreviewReport =
  | {
      readonly kind: 'repository';
      readonly repository: RepoName;
      /** The place of the policy that is about it, from 0; `null`: none is, and all stays. */
      readonly policy: number | null;
      readonly tags: number;
      readonly gone: number;
    }
  | { readonly kind: 'tags'; readonly tags: readonly PreviewedTag[] }
  | { readonly kind: 'untagged'; readonly manifests: readonly PreviewedManifest[] };

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
  /** Manifests without a tag that nothing needs. */
  readonly untagged: number;
  readonly untaggedGone: number;
  readonly remarks: readonly PolicyRemark[];
}

const PAGE = 500;

/** The tags of a repository, judged. */
interface JudgedRepository {
  readonly shown: readonly PreviewedTag[];
  readonly tags: number;
  readonly gone: number;
}

type Tell = (report: PreviewReport) => Promise<void>;

export class RetentionPreview {
  readonly #parts: PreviewParts;
  readonly #context: TaskContext;
  readonly #use: PolicyUse;
  readonly #counts = { repositories: 0, judged: 0, tags: 0, gone: 0, untagged: 0, untaggedGone: 0 };

  constructor(parts: PreviewParts, context: TaskContext) {
    this.#parts = parts;
    this.#context = context;
    this.#use = new PolicyUse(parts.settings.retention.policies);
  }

  async run(): Promise<PreviewSummary> {
    for await (const repo of repositoriesOf(this.#parts, this.#context)) await this.#look(repo);
    return { ...this.#counts, remarks: this.#use.remarks() };
  }

  async #look(repo: RepoName): Promise<void> {
    this.#counts.repositories += 1;
    const policy = this.#parts.settings.retention.policyOf(repo);
    this.#use.repository(repo, policy);
    if (policy !== null) this.#counts.judged += 1;
    // Only to be up to date: what happens from then on is of the next look.
    (await this.#parts.keeper.retention.open(repo)).close();
    const judged = policy === null ? { shown: [], tags: 0, gone: 0 } : await this.#judge(repo, policy);
    if (judged === null) return;
    const { shown, tags, gone } = judged;
    const head = { kind: 'repository', repository: repo, policy: policy?.place ?? null, tags, gone } as const;
    const tell = await this.#begin(head);
    for (let at = 0; at < shown.length; at += PAGE)
      await tell({ kind: 'tags', tags: shown.slice(at, at + PAGE) });
    await this.#showUntagged(repo, tell);
  }

  /** Tells of a repository as soon as there is something to tell of it. */
  async #begin(head: PreviewReport): Promise<Tell> {
    const { tell, all } = this.#parts;
    if (all) await tell(head);
    let isTold = all;
    return async (report) => {
      if (!isTold) await tell(head);
      isTold = true;
      await tell(report);
    };
  }

  /** `null`: the scheduler stopped before all tags were seen. */
  async #judge(repo: RepoName, policy: RetentionPolicy): Promise<JudgedRepository | null> {
    const judged = await judgeTags(this.#parts, repo, policy, this.#context);
    if (judged === null) return null;
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
    return { shown, tags: tags.length, gone };
  }

  async #showUntagged(repo: RepoName, tell: Tell): Promise<void> {
    let manifests: PreviewedManifest[] = [];
    for await (const seen of untaggedOf(this.#parts, repo, this.#context)) {
      this.#counts.untagged += 1;
      if (seen.decision === 'delete') this.#counts.untaggedGone += 1;
      else if (!this.#parts.all) continue;
      manifests.push(seen);
      if (manifests.length < PAGE) continue;
      await tell({ kind: 'untagged', manifests });
      manifests = [];
    }
    if (manifests.length > 0) await tell({ kind: 'untagged', manifests });
  }

  /** Signatures that are tags, whose subject is gone and which are old enough. */
  async #dangling(repo: RepoName, policy: RetentionPolicy): Promise<ReadonlySet<Tag>> {
    const { index, storage, clock, settings } = this.#parts;
    const found = new Set<Tag>();
    if (!policy.garbage.deleteReferrers) return found;
    for await (const { tag, digest } of danglingTags(index, repo, this.#context)) {
      const stat = await storage.repository(repo).statBlob(digest);
      if (stat !== null && clock.ageMs(stat.modifiedMs) >= settings.delayMs) found.add(tag);
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
