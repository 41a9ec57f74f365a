import { isRepoName } from './repo-name.ts';
import type { RepoName } from './repo-name.ts';

declare const repoPrefixBrand: unique symbol;

/**
 * Whole leading components of repository names, without a slash at the end: `team` stands for the repository `team` and
 * for all below it, never for `team2`; '' for all repositories.
 */
export type RepoPrefix = string & { readonly [repoPrefixBrand]: true };

/** Text such as `team`, `team/` or ''; `null` for what no repository name begins with. */
export function parseRepoPrefix(text: string): RepoPrefix | null {
  const prefix = text.endsWith('/') ? text.slice(0, -1) : text;
  if (prefix === '' && text === '') return '' as RepoPrefix;
  return isRepoName(prefix) ? (prefix as string as RepoPrefix) : null;
}

/** Every prefix that a repository falls under, the shortest first: '', `a`, `a/b` for `a/b`. */
export function prefixesOf(repo: RepoName): RepoPrefix[] {
  const prefixes: string[] = [''];
  for (let slash = repo.indexOf('/'); slash >= 0; slash = repo.indexOf('/', slash + 1))
    prefixes.push(repo.slice(0, slash));
  prefixes.push(repo);
  return prefixes as RepoPrefix[];
}

/** Whether a repository falls under a prefix. */
export function isUnder(repo: RepoName, prefix: RepoPrefix): boolean {
  return prefix === '' || repo === (prefix as string) || repo.startsWith(`${prefix}/`);
}
