import type { RepoName } from '#oci/repo-name';
import type { RetentionPolicy } from './settings.ts';

/** A part of the policies that decided nothing. */
export interface PolicyRemark {
  /** The place of the policy, from 0. */
  readonly policy: number;
  /** The place of the entry of `keepTags`, from 0; `null`: the policy as a whole. */
  readonly entry: number | null;
  readonly message: string;
}

interface Use {
  matched: boolean;
  applied: boolean;
}

/** Notes which policies, entries and patterns decided anything, so that those that did not can be named. */
export class PolicyUse {
  readonly #policies: readonly RetentionPolicy[];
  readonly #used: readonly (Use & {
    readonly entries: readonly (Use & { readonly patterns: Set<string> })[];
  })[];

  constructor(policies: readonly RetentionPolicy[]) {
    this.#policies = policies;
    this.#used = policies.map(({ keepTags }) => ({
      matched: false,
      applied: false,
      entries: keepTags.map(() => ({ matched: false, applied: false, patterns: new Set<string>() })),
    }));
  }

  /** A repository, and the policy that takes it. */
  repository(repo: RepoName, policy: RetentionPolicy | null): void {
    for (const [place, used] of this.#used.entries()) {
      if (!used.matched && this.#policies[place]?.matches(repo) === true) used.matched = true;
      if (place === policy?.place) used.applied = true;
    }
  }

  /** A tag of a repository of the policy, and the entry that takes it. */
  tag(policy: RetentionPolicy, tag: string, entry: number | null): void {
    for (const [place, used] of (this.#used[policy.place]?.entries ?? []).entries()) {
      const { patterns } = policy.keepTags[place] ?? { patterns: [] };
      for (const pattern of patterns)
        if (!used.patterns.has(pattern.text) && pattern.matches(tag)) used.patterns.add(pattern.text);
      if (patterns.length === 0 || used.patterns.size > 0) used.matched = true;
      if (place === entry) used.applied = true;
    }
  }

  remarks(): PolicyRemark[] {
    return this.#policies.flatMap((policy, place) => {
      const used = this.#used[place];
      if (used?.applied === true) return this.#entryRemarks(policy);
      const message =
        used?.matched === true
          ? 'earlier policies take all repositories that it matches'
          : 'it matches no repository';
      return [{ policy: place, entry: null, message }];
    });
  }

  #entryRemarks({ place, keepTags }: RetentionPolicy): PolicyRemark[] {
    return keepTags.flatMap(({ patterns }, entry) => {
      const used = this.#used[place]?.entries[entry];
      const remark = (message: string): PolicyRemark => ({ policy: place, entry, message });
      if (used?.matched === true && !used.applied)
        return [remark('earlier entries take all tags that it matches')];
      const unused = patterns.filter(({ text }) => used?.patterns.has(text) !== true);
      return unused.map(({ text }) => remark(`the pattern ${text} matches no tag`));
    });
  }
}
