import { ProviderError } from './provider.ts';

export type Claims = Readonly<Record<string, unknown>>;

export interface ClaimNames {
  readonly username: string;
  readonly groups: string;
  /** An address that is said not to be verified may belong to somebody else. */
  readonly allowUnverifiedEmail: boolean;
}

const EMAIL = 'email';
const USERNAME_CHARS_MAX = 1024;
const GROUPS_MAX = 10_000;

/** What a provider says of somebody, in the order in which it is believed: UserInfo, then the ID token. */
export type Sources = readonly Claims[];

/**
 * The name of a user: the mapped claim or, where that is empty, the e-mail address; `fellBack` hears of it. Throws
 * `ProviderError` where there is none, and for an address that the provider has not verified.
 */
export function usernameOf(sources: Sources, names: ClaimNames, fellBack: (claim: string) => void): string {
  const mapped = names.username === '' ? EMAIL : names.username;
  const found = textClaim(sources, mapped);
  if (found === null && mapped !== EMAIL) fellBack(mapped);
  const [claim, name] = found === null ? [EMAIL, textClaim(sources, EMAIL)] : [mapped, found];
  if (name === null) throw new ProviderError(`the provider names no user in the claim ${mapped}`, false);
  if (claim === EMAIL && isUnverified(sources) && !names.allowUnverifiedEmail)
    throw new ProviderError('the provider has not verified the e-mail address', false);
  return name;
}

function textClaim(sources: Sources, name: string): string | null {
  for (const claims of sources) {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (typeof value === 'string' && isName(value)) return value;
  }
  return null;
}

/** No control characters: names go into logs and headers. */
function isName(text: string): boolean {
  return text.trim() !== '' && text.length <= USERNAME_CHARS_MAX && !/\p{Cc}/u.test(text);
}

/** Some providers write it as text. A provider that says nothing of it is believed, as in zot. */
function isUnverified(sources: Sources): boolean {
  return sources.some(({ email_verified: verified }) => verified === false || verified === 'false');
}

/** The groups of all sources together: a list, or a single text. Sorted, each once. */
export function groupsOf(sources: Sources, claim: string): readonly string[] {
  const name = claim === '' ? 'groups' : claim;
  const found = sources.flatMap((claims): unknown[] => {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    return Array.isArray(value) ? value : [value];
  });
  const groups = found.filter((one) => typeof one === 'string' && one !== '').map(String);
  return [...new Set(groups)].toSorted().slice(0, GROUPS_MAX);
}
