/**
 * One round of retention in one store: repository after repository, the tags of one at a time. What goes is decided
 * anew in the queue of the repository: what clients did since it was judged wins.
 *
 * A repository that no policy with rules is about costs one comparison of its name; one in which nothing changed since
 * it was judged, and no time ran out, one look at its row.
 */
import type { AuditLog } from '#lib/audit-log';
import type { Logger } from '#lib/logger';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { LocalKeeper, RepositoryWatch, TagToRetire } from '#registry';
import type { Store } from '#storage';
import type { SweepClock } from '../gc/sweep-clock.ts';
import type { TaskContext } from '../scheduler.ts';
import { repositoriesOf } from './facts.ts';
import type { FactParts } from './facts.ts';
import { judgeTags } from './judged-tags.ts';
import { danglingTags } from './legacy-signatures.ts';
import { DANGLING_REASON, goneReason, logDangling, logTag } from './retention-log.ts';
import { ranks } from './rules.ts';
import type { SettledRepositories } from './settled.ts';
import type { RetentionPolicy, RetentionSettings } from './settings.ts';

export interface RetentionParts extends FactParts {
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  readonly audit: AuditLog;
  readonly clock: SweepClock;
  readonly store: Store;
  readonly settled: SettledRepositories;
  readonly settings: {
    readonly retention: RetentionSettings;
    readonly dryRun: boolean;
    /** How old a signature must be whose subject is gone. */
    readonly delayMs: number;
  };
}

/** Tags that one rewrite of index.json takes away at most; more would hold up the requests beside it. */
const TAGS_AT_ONCE = 128;
/** Judgements of a repository in one round, when clients remove what counted; then it waits for the next round. */
const JUDGEMENTS_MAX = 3;

/** A tag that is to go, with why; `onGone` is called when it has gone. */
interface Leaving {
  readonly tag: TagToRetire;
  readonly reason: string;
  readonly onGone: () => void;
}

/** Whether everything that was judged is as it should be, and for how long it stays so. */
interface Outcome {
  /** Tags that went. */
  readonly gone: number;
  /** Something that had to go is still there, since clients did something meanwhile. */
  readonly isOpen: boolean;
  /** Nothing was removed, and nothing will be for this time, as long as nothing changes. */
  readonly lastsMs: number;
}

export class RetentionRound {
  readonly #parts: RetentionParts;
  readonly #context: TaskContext;

  constructor(parts: RetentionParts, context: TaskContext) {
    this.#parts = parts;
    this.#context = context;
  }

  /** Repositories of the store that a policy has something to say about, and that may have changed. */
  async *repositories(): AsyncGenerator<RepoName> {
    for await (const repo of repositoriesOf(this.#parts, this.#context))
      if (await this.#isDue(repo)) yield repo;
  }

  async #isDue(repo: RepoName): Promise<boolean> {
    const { index, keeper, settings, settled, clock } = this.#parts;
    const policy = policyFor(settings.retention, repo);
    if (policy === null) return false;
    if (settings.dryRun) return true;
    const fingerprint = (await index.findRepository(repo))?.fingerprint;
    if (fingerprint === undefined) return false;
    const at = { runningMs: clock.runningMs, pullMark: keeper.retention.pullMark(repo) };
    return !settled.isSettled(repo, { policy, fingerprint }, at);
  }

  /** Judges one repository and removes what has to go; gives how many tags went, or would go in a dry run. */
  async judge(repo: RepoName): Promise<number> {
    let gone = 0;
    for (let turn = 0; turn < JUDGEMENTS_MAX; turn += 1) {
      const watch = await this.#parts.keeper.retention.open(repo);
      try {
        const outcome = await this.#judgeOnce(repo, watch);
        gone += outcome.gone;
        if (!outcome.isOpen || !watch.isOvertaken) break;
      } finally {
        watch.close();
      }
    }
    return gone;
  }

  async #judgeOnce(repo: RepoName, watch: RepositoryWatch): Promise<Outcome> {
    const { index, keeper, settings, settled, clock } = this.#parts;
    const state = await index.findRepository(repo);
    const policy = policyFor(settings.retention, repo);
    // Of a file that cannot be used nobody knows what it says.
    if (state === null || state.problem !== null || policy === null) return NOTHING;
    const mark = keeper.retention.pullMark(repo);
    const beganMs = clock.runningMs;
    const outcome = await this.#outcome(repo, policy, watch);
    if (outcome.gone === 0 && !outcome.isOpen && !settings.dryRun && !this.#context.signal.aborted) {
      const pullMark = policy.keepTags.some(({ rules }) => ranks(rules)) ? mark : null;
      const judged = { policy, fingerprint: state.fingerprint, pullMark };
      settled.note(repo, judged, beganMs + outcome.lastsMs);
    }
    return outcome;
  }

  async #outcome(repo: RepoName, policy: RetentionPolicy, watch: RepositoryWatch): Promise<Outcome> {
    const tags = policy.keepTags.length > 0 ? await this.#judgeTags(repo, policy, watch) : NOTHING;
    if (!policy.garbage.deleteReferrers || tags.isOpen) return tags;
    const signatures = await this.#judgeSignatures(repo, policy, watch);
    return {
      gone: tags.gone + signatures.gone,
      isOpen: signatures.isOpen,
      lastsMs: Math.min(tags.lastsMs, signatures.lastsMs),
    };
  }

  async #judgeTags(repo: RepoName, policy: RetentionPolicy, watch: RepositoryWatch): Promise<Outcome> {
    const { logger, settings } = this.#parts;
    const judged = await judgeTags(this.#parts, repo, policy, this.#context);
    if (judged === null) return NOTHING;
    const { judge, tags } = judged;
    const decisions = { logger, repo, dryRun: settings.dryRun };
    const leaving: Leaving[] = [];
    let lastsMs = Infinity;
    for (const { facts, entry } of tags) {
      const verdict = judge.judge(facts, entry);
      if (verdict.keptBy.length > 0) {
        lastsMs = Math.min(lastsMs, judge.lastsMs(facts, entry));
        logTag(decisions, facts, verdict);
      } else {
        const { name: tag, digest } = facts;
        leaving.push({
          tag: { tag, digest, isKeptByPull: judge.isKeptByPull(entry) },
          reason: goneReason(verdict),
          onGone: () => logTag(decisions, facts, verdict),
        });
      }
      await this.#context.pause();
    }
    return { ...(await this.#removeAll(watch, policy, leaving)), lastsMs };
  }

  async #judgeSignatures(repo: RepoName, policy: RetentionPolicy, watch: RepositoryWatch): Promise<Outcome> {
    const { index, storage, clock, settings, logger } = this.#parts;
    const decisions = { logger, repo, dryRun: settings.dryRun };
    const leaving: Leaving[] = [];
    let lastsMs = Infinity;
    for await (const { tag, digest } of danglingTags(index, repo, this.#context)) {
      const stat = await storage.repository(repo).statBlob(digest);
      if (stat === null) continue;
      const leftMs = settings.delayMs - clock.ageMs(stat.modifiedMs);
      if (leftMs > 0) {
        lastsMs = Math.min(lastsMs, leftMs);
        continue;
      }
      const onGone = (): void => logDangling(decisions, { name: tag, digest });
      leaving.push({ tag: { tag, digest, isKeptByPull: false }, reason: DANGLING_REASON, onGone });
    }
    return { ...(await this.#removeAll(watch, policy, leaving)), lastsMs };
  }

  /** Removes what has to go by a policy, as long as that is in force. */
  async #removeAll(
    watch: RepositoryWatch,
    policy: RetentionPolicy,
    leaving: readonly Leaving[],
  ): Promise<Omit<Outcome, 'lastsMs'>> {
    let gone = 0;
    for (let at = 0; at < leaving.length && !this.#context.signal.aborted; at += TAGS_AT_ONCE) {
      if (policyFor(this.#parts.settings.retention, watch.repo) !== policy) break;
      const some = leaving.slice(at, at + TAGS_AT_ONCE);
      const removed = await this.#remove(watch, some);
      gone += removed.size;
      for (const { tag, reason, onGone } of some)
        if (removed.has(tag.tag)) this.#tell(watch.repo, tag, reason, onGone);
      if (watch.isOvertaken) break;
      await this.#context.pause();
    }
    return { gone, isOpen: gone < leaving.length };
  }

  async #remove(watch: RepositoryWatch, some: readonly Leaving[]): Promise<ReadonlySet<Tag>> {
    const tags = some.map(({ tag }) => tag);
    const { settings, keeper } = this.#parts;
    if (settings.dryRun) return new Set(tags.map(({ tag }) => tag));
    return new Set(await keeper.retention.retire(watch, tags));
  }

  #tell(repo: RepoName, { tag, digest }: TagToRetire, reason: string, log: () => void): void {
    const { audit, settings } = this.#parts;
    log();
    if (!settings.dryRun)
      audit.removal({ module: 'retention', repository: repo, reference: tag, tag, digest, reason });
  }
}

const NOTHING: Outcome = { gone: 0, isOpen: false, lastsMs: Infinity };

/** The policy of a repository, where it has something to say about tags. */
function policyFor(settings: RetentionSettings, repo: RepoName): RetentionPolicy | null {
  const policy = settings.policyOf(repo);
  if (policy === null) return null;
  return policy.keepTags.length > 0 || policy.garbage.deleteReferrers ? policy : null;
}
