import { KeyedLock } from '#lib/keyed-lock';
import type { Logger } from '#lib/logger';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { garbageReason } from '#registry';
import type { LocalKeeper, RepositoryWatch } from '#registry';
import { TOGETHER } from '../gc/groups.ts';
import type { SweepClock } from '../gc/sweep-clock.ts';
import type { TaskContext } from '../scheduler.ts';
import { entriesOf, factsOf } from './facts.ts';
import type { FactParts } from './facts.ts';
import { logUntagged } from './retention-log.ts';
import { KeepGroup, looksAtPulls, ranks } from './rules.ts';
import type { KeepRules } from './rules.ts';
import type { RetentionSettings } from './settings.ts';

export interface UntaggedParts extends FactParts {
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  readonly clock: SweepClock;
  readonly settings: { readonly retention: RetentionSettings; readonly dryRun: boolean };
}

interface View {
  readonly watch: RepositoryWatch;
  readonly group: KeepGroup;
}

/**
 * Repositories whose manifests are compared with each other at the same time: those of all that is judged together, of
 * which each must still hear what happens when its turn comes.
 */
const VIEWS_MAX = TOGETHER;

/** Says whether a rule no longer wants a manifest to go, when its turn comes. */
export type KeptMeanwhile = () => Promise<boolean>;

const NEVER: KeptMeanwhile = async () => false;

/**
 * The rules for manifests without a tag (`keepUntagged`), for one sweep. Those of a repository are compared with each
 * other: with what could be removed, not with children of indexes or referrers, which stay anyway.
 */
export class UntaggedRetention {
  readonly #parts: UntaggedParts;
  readonly #context: TaskContext;
  /** The one that was asked for last is at the end. */
  readonly #views = new Map<RepoName, View>();
  /** Views are made one after another. */
  readonly #turns = new KeyedLock();

  constructor(parts: UntaggedParts, context: TaskContext) {
    this.#parts = parts;
    this.#context = context;
  }

  /** `null`: a rule keeps the manifest. Otherwise what to ask when its turn comes to be removed. */
  async judge(repo: RepoName, digest: Digest): Promise<KeptMeanwhile | null> {
    const { logger, settings } = this.#parts;
    const rules = settings.retention.policyOf(repo)?.keepUntagged ?? null;
    if (rules === null) return NEVER;
    const { watch, group } = await this.#turns.run('', () => this.#view(repo, rules));
    const facts = await factsOf(this.#parts, repo, { name: digest, digest });
    const [rule = null] = group.keptBy(facts);
    logUntagged({ logger, repo, dryRun: settings.dryRun }, facts, rule);
    if (rule !== null) return null;
    return async () =>
      watch.isOvertaken || watch.isPushed(digest) || (looksAtPulls(rules) && watch.isPulled(digest));
  }

  close(): void {
    for (const { watch } of this.#views.values()) watch.close();
    this.#views.clear();
  }

  /** What is compared in a repository, made again when something left it. */
  async #view(repo: RepoName, rules: KeepRules): Promise<View> {
    const known = this.#views.get(repo);
    if (known !== undefined && !known.watch.isOvertaken) {
      this.#views.delete(repo);
      this.#views.set(repo, known);
      return known;
    }
    this.#drop(repo);
    const [oldest] = this.#views.keys();
    if (oldest !== undefined && this.#views.size >= VIEWS_MAX) this.#drop(oldest);
    const watch = await this.#parts.keeper.retention.open(repo);
    try {
      const view = {
        watch,
        group: await untaggedGroup(this.#parts, repo, { rules, context: this.#context }),
      };
      this.#views.set(repo, view);
      return view;
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  #drop(repo: RepoName): void {
    this.#views.get(repo)?.watch.close();
    this.#views.delete(repo);
  }
}

/** The manifests without a tag of a repository that could be removed, to be compared with each other. */
export async function untaggedGroup(
  parts: FactParts & { readonly keeper: LocalKeeper; readonly clock: SweepClock },
  repo: RepoName,
  { rules, context }: { readonly rules: KeepRules; readonly context: TaskContext },
): Promise<KeepGroup> {
  const { index, records, clock, keeper } = parts;
  const pullsBeganMs = await records.beganMs();
  const group = new KeepGroup(rules, { ageMs: (atMs) => clock.ageMs(atMs), pullsBeganMs });
  if (!ranks(rules)) return group;
  const place = { index, holds: keeper.tags, repo };
  const garbage = { deleteUntagged: true, deleteReferrers: false };
  for await (const { tag, digest } of entriesOf(index, repo, context)) {
    if (tag !== null || (await garbageReason(place, digest, garbage)) === null) continue;
    group.add(await factsOf(parts, repo, { name: digest, digest }));
  }
  return group;
}
