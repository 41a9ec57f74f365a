import { RegistryError } from '#oci/errors';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { Action } from '../contract.ts';

/** One entry of the `access` claim. */
export interface AccessEntry {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

const SCOPE_CHARS_MAX = 32 * 1024;
const ENTRIES_MAX = 100;
/** What each word of a token stands for: it is given when one of these is. */
const WORDS: Readonly<Record<string, readonly Action[]>> = {
  pull: ['read'],
  push: ['create', 'update'],
  delete: ['delete'],
};

/**
 * The entries that a client asks for: `repository:<name>:pull,push` and `registry:catalog:*`, several of them in one
 * parameter or in many (Docker token specification, "Requesting a Token"). What is of another type is left out, as is
 * what cannot be a name. Throws `REQUEST_INVALID` for more than anybody needs.
 */
export function parseRequestedScopes(parameters: readonly string[]): readonly AccessEntry[] {
  const length = parameters.reduce((sum, text) => sum + text.length, 0);
  if (length > SCOPE_CHARS_MAX) throw invalid('the parameter scope is too long');
  const scopes = parameters.flatMap((text) => text.split(' ')).filter((text) => text !== '');
  const merged = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const [type, name, words] = divided(scope);
    const key = `${type}:${name}`;
    merged.set(key, new Set([...(merged.get(key) ?? []), ...words]));
  }
  if (merged.size > ENTRIES_MAX) throw invalid(`the parameter scope names more than ${ENTRIES_MAX} things`);
  return [...merged].map(([key, words]) => {
    const colon = key.indexOf(':');
    return { type: key.slice(0, colon), name: key.slice(colon + 1), actions: [...words] };
  });
}

function divided(scope: string): readonly [string, string, readonly string[]] {
  const first = scope.indexOf(':');
  const last = scope.lastIndexOf(':');
  if (first < 1 || last === first) throw invalid('a scope is not of the form type:name:actions');
  return [scope.slice(0, first), scope.slice(first + 1, last), scope.slice(last + 1).split(',')];
}

/** What of the asked is given: no more than `reaches` says. */
export function narrowed(
  asked: readonly AccessEntry[],
  reaches: (repo: RepoName, action: Action) => boolean,
): readonly AccessEntry[] {
  return asked.flatMap(({ type, name, actions }) => {
    if (type === 'registry' && name === 'catalog' && actions.includes('*'))
      return [{ type, name, actions: ['*'] }];
    if (type !== 'repository' || !isRepoName(name)) return [];
    const words = actions.includes('*') ? Object.keys(WORDS) : actions;
    const given = words.filter((word) => wordReaches(word, (action) => reaches(name, action)));
    return given.length === 0 ? [] : [{ type, name, actions: given }];
  });
}

function wordReaches(word: string, reaches: (action: Action) => boolean): boolean {
  return Object.hasOwn(WORDS, word) && (WORDS[word] ?? []).some(reaches);
}

function invalid(message: string): RegistryError {
  return new RegistryError('REQUEST_INVALID', { message });
}
