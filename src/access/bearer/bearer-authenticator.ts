/**
 * Tokens of an outside token server (Docker token authentication specification). Such a token carries its own scope,
 * which alone decides: the policies are not asked, as in zot. Whom it is for is known by `sub`, for the audit log.
 */
import type { Config } from '#config';
import type { AccessParts, AccessRequest, Authenticator, Identity, Refused } from '../contract.ts';
import { AccessEntries } from './access-entries.ts';
import { AwsKeySource, secretReader } from './aws-key-source.ts';
import { bearerChallenge, isCatalog } from './bearer-challenge.ts';
import { fileKeySource } from './key-source.ts';
import type { KeySource } from './key-source.ts';
import { offeredToken, refusedToken } from './offered-token.ts';
import {
  TokenError,
  audiencesOf,
  checkTimes,
  expiryMsOf,
  headerOf,
  verifySignature,
} from './signed-token.ts';
import type { Claims } from './signed-token.ts';
import { SparseWarnings } from './sparse-warnings.ts';
import { VerifiedTokens } from './verified-tokens.ts';

export type BearerConfig = NonNullable<Config['http']['auth']['bearer']>;

interface Verified {
  readonly username: string;
  readonly entries: AccessEntries;
}

const USERNAME_CHARS_MAX = 256;

/** Opens the way to sign in with tokens of a token server. Throws `StartError`. */
export async function openBearer(config: Config, parts: AccessParts): Promise<Authenticator> {
  const { bearer } = config.http.auth;
  if (bearer === undefined) throw new Error('bearer is opened, though it is not configured');
  const { awsSecretsManager: aws, cert } = bearer;
  const keys =
    aws === undefined
      ? fileKeySource(cert, parts.logger)
      : new AwsKeySource(secretReader(aws), aws.refreshInterval, parts.logger);
  return new BearerAuthenticator(bearer, keys, parts);
}

export class BearerAuthenticator implements Authenticator {
  readonly method = 'bearer';
  #config: BearerConfig;
  #keys: KeySource;
  #verified = new VerifiedTokens<Verified>();
  #warnings: SparseWarnings;
  #now: () => number;

  constructor(
    config: BearerConfig,
    keys: KeySource,
    { logger }: Pick<AccessParts, 'logger'>,
    now = Date.now,
  ) {
    this.#config = config;
    this.#keys = keys;
    this.#warnings = new SparseWarnings(logger.child({ component: 'bearer' }));
    this.#now = now;
  }

  async identify(request: AccessRequest): Promise<Identity | Refused | null> {
    const token = offeredToken(request.authorization[0]);
    if (token === null || typeof token !== 'string') return token;
    try {
      return this.#identity(await this.#verify(token), request);
    } catch (error) {
      if (error instanceof TokenError) return refusedToken(error.message);
      throw error;
    }
  }

  async #verify(token: string): Promise<Verified> {
    const nowMs = this.#now();
    const known = this.#verified.find(token, this.#keys.generation, nowMs);
    if (known !== null) return known;
    const key = await this.#keys.find(headerOf(token));
    if (key === null) throw new TokenError('the token names a key that is not known');
    const { generation } = this.#keys;
    const claims = await verifySignature(token, [key]);
    checkTimes(claims, nowMs);
    this.#checkParties(claims);
    const verified = { username: subjectOf(claims), entries: new AccessEntries(claims) };
    this.#verified.remember(token, verified, { generation, nowMs, expiryMs: expiryMsOf(claims) });
    return verified;
  }

  /** For whom the token is and who issued it: what it says must fit; what it must say is for the configuration. */
  #checkParties(claims: Claims): void {
    const { tokenClaims, service, issuers } = this.#config;
    if (issuers.length > 0 && !issuers.some((issuer) => issuer === claims.iss))
      throw new TokenError('the token is of another issuer');
    if (tokenClaims === 'unchecked') return;
    const audiences = audiencesOf(claims);
    if (audiences.length > 0 && !audiences.includes(service))
      throw new TokenError('the token is for another service');
    const missing = [audiences.length === 0 ? 'aud' : '', claims.exp === undefined ? 'exp' : ''].filter(
      (name) => name !== '',
    );
    if (missing.length === 0) return;
    if (tokenClaims === 'required') throw new TokenError(`the token lacks ${missing.join(' and ')}`);
    this.#warnings.warn(`tokens of the token server lack ${missing.join(' and ')}`);
  }

  #identity({ username, entries }: Verified, request: AccessRequest): Identity {
    const now = this.#now;
    const listsAll = isCatalog(request.url) && entries.listsCatalog(now());
    return {
      username,
      groups: [],
      method: 'bearer',
      claims: null,
      scope: {
        permits: (repo, action) => entries.permits(repo, action, now()),
        sees: (repo) => listsAll || entries.permits(repo, 'read', now()),
      },
      scopeOnly: true,
    };
  }

  challenge(wanted: Parameters<NonNullable<Authenticator['challenge']>>[0], request: AccessRequest): string {
    const { realm, service } = this.#config;
    return bearerChallenge(realm, service, { wanted, request });
  }

  async close(): Promise<void> {
    this.#keys.close();
  }
}

/** The user of a token, '' when it names none. Throws `TokenError` for what cannot be a name in a log. */
function subjectOf({ sub }: Claims): string {
  if (sub === undefined || sub === null) return '';
  if (typeof sub !== 'string' || sub.length > USERNAME_CHARS_MAX)
    throw new TokenError('sub is not a short text');
  return sub;
}
