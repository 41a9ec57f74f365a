import type { AccessRequest, Authenticator, Wanted } from './contract.ts';

/** As zot, which takes it from the specification of HTTP. */
const DEFAULT_REALM = 'Authorization Required';

/** Makes the `WWW-Authenticate` values: those of tokens first, since clients take the first that they know. */
export class Challenges {
  #authenticators: readonly Authenticator[];
  #basic: string | null;

  constructor(authenticators: readonly Authenticator[], realm: string) {
    this.#authenticators = authenticators.filter((one) => one.challenge !== undefined);
    const onlyTokens = authenticators.length > 0 && this.#authenticators.length === authenticators.length;
    this.#basic = onlyTokens ? null : `Basic realm=${quoted(realm === '' ? DEFAULT_REALM : realm)}`;
  }

  for(wanted: Wanted | null, request: AccessRequest): readonly string[] {
    const values = this.#authenticators.map(
      (authenticator) => authenticator.challenge?.(wanted, request) ?? null,
    );
    return [...new Set([...values, this.#basic])].filter((value) => value !== null);
  }
}

/** A quoted string (RFC 9110 section 5.6.4); characters that no header may hold are left out. */
export function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
}
