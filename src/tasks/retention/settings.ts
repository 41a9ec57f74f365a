import { RE2JS } from 're2js';
import type { StoreConfig } from '#config';
import { compileGlob } from '#lib/doublestar';
import type { RepoName } from '#oci/repo-name';
import type { GarbageRules } from '#registry';
import { hasRules } from './rules.ts';
import type { KeepRules, TagRules } from './rules.ts';

type RetentionConfig = NonNullable<StoreConfig['retention']>;
type PolicyConfig = RetentionConfig['policies'][number];

/** A regular expression of `patterns`; it may match anywhere in a tag (zot). */
export interface TagPattern {
  readonly text: string;
  matches(tag: string): boolean;
}

/** An entry of `keepTags`; without patterns it is about all tags. */
export interface TagEntry extends TagRules {
  readonly patterns: readonly TagPattern[];
}

/** A policy of retention, compiled. */
export interface RetentionPolicy {
  /** Its place in the configuration, from 0. */
  readonly place: number;
  readonly repositories: readonly string[];
  /** Whether one of its globs matches; an earlier policy may take the repository all the same. */
  matches(repo: RepoName): boolean;
  /** None: all tags are kept. */
  readonly keepTags: readonly TagEntry[];
  /** `null`: no rule keeps manifests without a tag. */
  readonly keepUntagged: KeepRules | null;
  readonly garbage: GarbageRules;
}

/** The retention of one store, compiled once for each configuration. */
export interface RetentionSettings {
  readonly policies: readonly RetentionPolicy[];
  /** The first policy that is about a repository. */
  policyOf(repo: RepoName): RetentionPolicy | null;
}

/** Throws where a pattern cannot be read; those of a configuration that was loaded can. */
export function retentionSettings(config: StoreConfig['retention']): RetentionSettings {
  const policies = (config?.policies ?? []).map(compilePolicy);
  return { policies, policyOf: (repo) => policies.find((policy) => policy.matches(repo)) ?? null };
}

function compilePolicy(policy: PolicyConfig, place: number): RetentionPolicy {
  const { repositories, deleteUntagged, deleteReferrers } = policy;
  const globs = repositories.map((pattern) => compileGlob(pattern));
  const untagged = policy.keepUntagged === undefined ? null : rulesOf(policy.keepUntagged);
  return {
    place,
    repositories,
    matches: (repo) => globs.some((glob) => glob.matches(repo)),
    keepTags: policy.keepTags.map(compileEntry),
    keepUntagged: untagged !== null && hasRules(untagged) ? untagged : null,
    garbage: { deleteUntagged, deleteReferrers },
  };
}

function compileEntry(entry: PolicyConfig['keepTags'][number]): TagEntry {
  const patterns = entry.patterns.map((text): TagPattern => {
    const expression = RE2JS.compile(text);
    return { text, matches: (tag) => expression.test(tag) };
  });
  return {
    patterns,
    rules: rulesOf(entry),
    matches: (tag) => patterns.length === 0 || patterns.some((pattern) => pattern.matches(tag)),
  };
}

function rulesOf(entry: NonNullable<PolicyConfig['keepUntagged']>): KeepRules {
  return {
    mostRecentlyPulledCount: Math.max(0, entry.mostRecentlyPulledCount),
    mostRecentlyPushedCount: Math.max(0, entry.mostRecentlyPushedCount),
    pulledWithinMs: entry.pulledWithin ?? null,
    pushedWithinMs: entry.pushedWithin ?? null,
  };
}
