/**
 * Our own tokens: signed, short-lived, for one user and for what they asked for. A token never gives more than its
 * user has: the policies are asked at each use, and the token ends early when its user goes, changes the password, or
 * revokes the API key that it was had for.
 */
import { randomUUID } from 'node:crypto';
import { CompactSign } from 'jose';
import { AccessEntries } from '../bearer/access-entries.ts';
import {
  TokenError,
  audiencesOf,
  checkTimes,
  expiryMsOf,
  headerOf,
  verifySignature,
} from '../bearer/signed-token.ts';
import type { Claims } from '../bearer/signed-token.ts';
import { VerifiedTokens } from '../bearer/verified-tokens.ts';
import { ANONYMOUS } from '../contract.ts';
import type { Accounts, AuthMethod, Identity } from '../contract.ts';
import { decrypt, encrypt } from '../sessions/session-cookie.ts';
import type { Origins } from '../users/origins.ts';
import type { AccessEntry } from './requested-scope.ts';
import { TokenKeys } from './token-keys.ts';

export interface OwnTokensParts {
  readonly accounts: Accounts;
  readonly origins: Origins;
  /** What tokens are for (`aud`). */
  readonly service: string;
  readonly lifetimeMs: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  readonly issuedAt: Date;
}

/** How the user signed in: for us alone, sealed. */
interface Source {
  readonly method: AuthMethod;
  readonly origin: string;
  readonly proof: string | null;
  readonly apiKeyHash: string | null;
}

interface Verified {
  readonly username: string;
  readonly source: Source;
  readonly entries: AccessEntries;
}

const ISSUER = 'zot';
const ALGORITHM = 'EdDSA';
const TYPE = 'JWT';

export class OwnTokens {
  readonly service: string;
  #parts: OwnTokensParts;
  #keys: TokenKeys;
  #verified = new VerifiedTokens<Verified>();
  #now: () => number;

  constructor(parts: OwnTokensParts) {
    this.#parts = parts;
    this.service = parts.service;
    this.#now = parts.now ?? Date.now;
    this.#keys = new TokenKeys(parts.accounts, this.#now);
  }

  async issue(identity: Identity, access: readonly AccessEntry[]): Promise<IssuedToken> {
    const nowMs = this.#now();
    const iat = Math.floor(nowMs / 1000);
    const exp = Math.min(iat + Math.ceil(this.#parts.lifetimeMs / 1000), endOf(identity));
    const key = await this.#keys.current();
    const source: Source = {
      method: identity.method,
      origin: identity.origin ?? identity.method,
      proof: identity.proof ?? null,
      apiKeyHash: identity.apiKeyHash ?? null,
    };
    const claims = {
      iss: ISSUER,
      aud: this.service,
      ...(identity.username === '' ? {} : { sub: identity.username }),
      iat,
      nbf: iat,
      exp,
      jti: randomUUID(),
      access,
      source: encrypt(JSON.stringify(source), key.sealingKey),
    };
    const token = await new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: key.kid })
      .sign(key.privateKey);
    return { token, expiresInSeconds: exp - iat, issuedAt: new Date(iat * 1000) };
  }

  /** Whether a token names a key of ours; nothing is verified. */
  isOurs(token: string): boolean {
    return this.#keys.isOurs(headerOf(token).kid);
  }

  /** Who shows a token, narrowed to its scope. `listsAll`: whether `registry:catalog:*` counts. Throws `TokenError`. */
  async identify(token: string, listsCatalog: boolean): Promise<Identity> {
    const { username, source, entries } = await this.#verify(token);
    const now = this.#now;
    const listsAll = listsCatalog && entries.listsCatalog(now());
    const scope: Identity['scope'] = {
      permits: (repo, action) => entries.permits(repo, action, now()),
      sees: (repo) => listsAll || entries.permits(repo, 'read', now()),
    };
    if (source.method === 'none') return { ...ANONYMOUS, scope };
    const { origin, proof } = source;
    const standing = await this.#parts.origins.standing(origin, username, proof);
    if (standing === null) throw new TokenError('the user of the token no longer stands');
    await this.#requireApiKey(source);
    const { groups } = standing;
    return { username, groups, origin, method: 'token', claims: null, scope, scopeOnly: false };
  }

  async #requireApiKey({ apiKeyHash }: Source): Promise<void> {
    if (apiKeyHash === null) return;
    const record = await this.#parts.accounts.findApiKey(apiKeyHash);
    const isGone = record === null || (record.expiresMs !== null && record.expiresMs <= this.#now());
    if (isGone) throw new TokenError('the API key of the token is no longer good');
  }

  async #verify(token: string): Promise<Verified> {
    const nowMs = this.#now();
    const known = this.#verified.find(token, 0, nowMs);
    if (known !== null) return known;
    const key = await this.#keys.find(headerOf(token).kid);
    if (key === null) throw new TokenError('the key of the token is not known, or no longer');
    const claims = await verifySignature(token, [{ key: key.publicKey, algorithms: [ALGORITHM] }]);
    checkTimes(claims, nowMs);
    if (claims.iss !== ISSUER || !audiencesOf(claims).includes(this.service) || claims.exp === undefined)
      throw new TokenError('the token is not for this service');
    const verified = {
      username: typeof claims.sub === 'string' ? claims.sub : '',
      source: sourceOf(claims, key.sealingKey),
      entries: new AccessEntries(claims),
    };
    this.#verified.remember(token, verified, { generation: 0, nowMs, expiryMs: expiryMsOf(claims) });
    return verified;
  }
}

/** A token never outlives the token that it was had for; in seconds. */
function endOf({ claims }: Identity): number {
  const exp = claims?.exp;
  return typeof exp === 'number' ? Math.floor(exp) : Number.POSITIVE_INFINITY;
}

function sourceOf(claims: Claims, sealingKey: Buffer): Source {
  const text = typeof claims.source === 'string' ? decrypt(claims.source, sealingKey) : null;
  if (text === null) throw new TokenError('the token cannot be read');
  // Sealed by us, so it has our shape.
  return JSON.parse(text) as Source;
}
