import { GlobSyntaxError, compileGlob } from '#lib/doublestar';
import type { Glob } from '#lib/doublestar';
import type { Action, Scope } from '../contract.ts';

/** The words of a scope and the actions they stand for: those of the Docker token protocol, and zot's own. */
const WORDS: Readonly<Record<string, readonly Action[]>> = {
  pull: ['read'],
  push: ['create', 'update'],
  read: ['read'],
  create: ['create'],
  update: ['update'],
  delete: ['delete'],
  '*': ['read', 'create', 'update', 'delete'],
};

export const SCOPES_MAX = 64;
const SCOPE_LENGTH_MAX = 256;
const REPOSITORY = 'repository:';

/** A scope that means nothing here; its message says what would. */
export class ScopeError extends Error {}

interface Grant {
  /** `null`: every repository. */
  readonly glob: Glob | null;
  readonly actions: ReadonlySet<Action>;
}

/**
 * What scopes permit together: `repository:<glob>:<words>`, such as `repository:team/**:pull,push`, or words alone for
 * every repository, such as `pull`. No scope at all is no limit: `null`. Throws `ScopeError`.
 */
export function parseScopes(scopes: readonly string[]): Scope | null {
  if (scopes.length > SCOPES_MAX) throw new ScopeError(`there are more than ${SCOPES_MAX} scopes`);
  if (scopes.length === 0) return null;
  const grants = scopes.map(grantOf);
  const permits: Scope['permits'] = (repo, action) =>
    grants.some(({ glob, actions }) => actions.has(action) && (glob === null || glob.matches(repo)));
  return { permits, sees: (repo) => permits(repo, 'read') };
}

function grantOf(scope: string): Grant {
  if (scope.length > SCOPE_LENGTH_MAX)
    throw new ScopeError(`a scope is longer than ${SCOPE_LENGTH_MAX} characters`);
  if (!scope.startsWith(REPOSITORY)) return { glob: null, actions: actionsOf(scope, scope) };
  const rest = scope.slice(REPOSITORY.length);
  const colon = rest.lastIndexOf(':');
  if (colon < 1) throw new ScopeError(`${quoted(scope)} names no actions: write repository:<glob>:pull,push`);
  return { glob: globOf(rest.slice(0, colon), scope), actions: actionsOf(rest.slice(colon + 1), scope) };
}

function actionsOf(words: string, scope: string): ReadonlySet<Action> {
  const actions = words.split(',').flatMap((word) => {
    const known = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (known !== undefined) return known;
    throw new ScopeError(
      `${quoted(scope)} holds the unknown word ${quoted(word)}: use ${Object.keys(WORDS).join(', ')}`,
    );
  });
  return new Set(actions);
}

function globOf(pattern: string, scope: string): Glob {
  try {
    return compileGlob(pattern);
  } catch (error) {
    if (!(error instanceof GlobSyntaxError)) throw error;
    throw new ScopeError(`${quoted(scope)} holds no valid pattern: ${error.message}`);
  }
}

/** As the client wrote it, short and in one line. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
