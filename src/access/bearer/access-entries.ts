import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { Action } from '../contract.ts';
import { TokenError } from './signed-token.ts';
import type { Claims } from './signed-token.ts';

/** What tokens call actions, and what they are here. */
const WORDS: Readonly<Record<string, readonly Action[]>> = {
  pull: ['read'],
  push: ['create', 'update'],
  delete: ['delete'],
  '*': ['read', 'create', 'update', 'delete'],
};

const ENTRIES_MAX = 500;
const ACTIONS_MAX = 16;

interface Grant {
  readonly actions: ReadonlySet<Action>;
  /** Milliseconds; `null`: as long as the token. */
  readonly untilMs: number | null;
}

/** What the `access` claim of a token permits (Docker token specification, "Token Claim Set"). */
export class AccessEntries {
  #grants = new Map<RepoName, Grant[]>();
  #catalogUntilMs: number | null | undefined;

  /** Throws `TokenError` for a claim that is not a list of entries. */
  constructor(claims: Claims) {
    const { access = [] } = claims;
    // Some servers write null for nothing.
    const list: unknown = access ?? [];
    if (!Array.isArray(list)) throw new TokenError('the claim access is not a list');
    if (list.length > ENTRIES_MAX)
      throw new TokenError(`the claim access has more than ${ENTRIES_MAX} entries`);
    for (const entry of list) this.#add(entry);
  }

  #add(entry: unknown): void {
    const { type, name, words, untilMs } = entryOf(entry);
    if (type === 'registry' && name === 'catalog' && words.includes('*')) this.#catalogUntilMs = untilMs;
    if (type !== 'repository' || !isRepoName(name)) return;
    const granted = words.flatMap((word) => (Object.hasOwn(WORDS, word) ? (WORDS[word] ?? []) : []));
    const grant = { actions: new Set(granted), untilMs };
    this.#grants.set(name, [...(this.#grants.get(name) ?? []), grant]);
  }

  permits(repo: RepoName, action: Action, nowMs: number): boolean {
    const grants = this.#grants.get(repo) ?? [];
    return grants.some(
      ({ actions, untilMs }) => actions.has(action) && (untilMs === null || untilMs > nowMs),
    );
  }

  /** Whether the names of all repositories may be listed (`registry:catalog:*`). */
  listsCatalog(nowMs: number): boolean {
    const untilMs = this.#catalogUntilMs;
    return untilMs !== undefined && (untilMs === null || untilMs > nowMs);
  }
}

interface Entry {
  readonly type: string;
  readonly name: string;
  readonly words: readonly string[];
  readonly untilMs: number | null;
}

function entryOf(value: unknown): Entry {
  if (typeof value !== 'object' || value === null)
    throw new TokenError('an entry of access is not an object');
  const { type, name, actions, exp } = value as Readonly<Record<string, unknown>>;
  const words = actions ?? [];
  if (typeof type !== 'string' || typeof name !== 'string' || !isListOfTexts(words))
    throw new TokenError('an entry of access lacks type, name or actions');
  return { type, name, words, untilMs: untilMsOf(exp ?? null) };
}

function untilMsOf(exp: unknown): number | null {
  if (exp === null) return null;
  if (typeof exp === 'number' && Number.isFinite(exp)) return exp * 1000;
  throw new TokenError('exp of an entry of access is not a number');
}

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= ACTIONS_MAX && value.every((one) => typeof one === 'string');
}
