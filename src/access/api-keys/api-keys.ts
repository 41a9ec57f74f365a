/**
 * API keys: what programs sign in with instead of a password. The key is shown once, at its creation; kept is a hash.
 * A key does what its scopes say and its owner may, and ends with its owner.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Logger } from '#lib/logger';
import { WeightedLru } from '#lib/weighted-lru';
import { RegistryError } from '#oci/errors';
import type {
  Accounts,
  ApiKeyDesk,
  ApiKeyRecord,
  ApiKeyRequest,
  Identity,
  Refused,
  Scope,
} from '../contract.ts';
import type { Origins } from '../users/origins.ts';
import { ScopeError, parseScopes } from './api-key-scope.ts';
import { ApiKeyUses } from './api-key-uses.ts';

export interface ApiKeyParts {
  readonly accounts: Accounts;
  readonly origins: Origins;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const API_KEYS_PER_OWNER_MAX = 500;
const PREFIX = 'zak_';
const FORM = /^zak_[0-9a-f]{32}$/;
const USER_AGENT_LENGTH_MAX = 256;
const COMPILED_SCOPES_MAX = 200;

/** Whether a password has the form of an API key; such a one is never tried as a password, nor sent to a directory. */
export function isApiKey(password: string): boolean {
  return FORM.test(password);
}

export class ApiKeys implements ApiKeyDesk {
  #parts: ApiKeyParts;
  #uses: ApiKeyUses;
  #scopes = new WeightedLru<string, { readonly scope: Scope | null }>(COMPILED_SCOPES_MAX);

  constructor(parts: ApiKeyParts) {
    this.#parts = parts;
    this.#uses = new ApiKeyUses(parts.accounts, parts.logger);
  }

  async create(
    owner: Identity,
    asked: ApiKeyRequest,
  ): Promise<{ readonly key: string; readonly record: ApiKeyRecord }> {
    checkScopes(asked.scopes);
    const own = await this.#parts.accounts.listApiKeys(owner.username);
    if (own.length >= API_KEYS_PER_OWNER_MAX) {
      throw new RegistryError('DENIED', {
        message: `nobody may have more than ${API_KEYS_PER_OWNER_MAX} API keys`,
      });
    }
    const secret = randomBytes(16).toString('hex');
    const record: ApiKeyRecord = {
      hash: hashOf(secret),
      owner: owner.username,
      origin: owner.origin ?? owner.method,
      uuid: randomUUID(),
      label: asked.label,
      scopes: asked.scopes,
      createdMs: this.#parts.now(),
      expiresMs: asked.expiresMs,
      lastUsedMs: null,
      creatorUserAgent: asked.userAgent.slice(0, USER_AGENT_LENGTH_MAX),
      generatedBy: 'manual',
    };
    await this.#parts.accounts.addApiKey(record);
    return { key: `${PREFIX}${secret}`, record };
  }

  list(owner: string): Promise<ApiKeyRecord[]> {
    return this.#parts.accounts.listApiKeys(owner);
  }

  /** Gives whether the owner had such a key. It is refused everywhere from then on. */
  revoke(owner: string, uuid: string): Promise<boolean> {
    return this.#parts.accounts.removeApiKey(owner, uuid);
  }

  isExpired(record: ApiKeyRecord): boolean {
    return record.expiresMs !== null && record.expiresMs <= this.#parts.now();
  }

  /** Who shows a key under a name. Throws when it cannot be found out. */
  async identify(username: string, key: string): Promise<Identity | Refused> {
    const hash = hashOf(key.slice(PREFIX.length));
    const record = await this.#parts.accounts.findApiKey(hash);
    const refuse = (reason: string): Refused => ({ refused: true, reason, username });
    if (record === null || !equalDigests(record.hash, hash)) return refuse('unknown API key');
    if (record.owner !== username) return refuse('the API key is not of this user');
    if (this.isExpired(record)) return refuse('the API key has expired');
    const { origin } = record;
    const standing = await this.#parts.origins.standing(origin, username, null);
    if (standing === null) return refuse('the owner of the API key is no longer known');
    this.#uses.note(hash, this.#parts.now());
    const scope = this.#compiled(record.scopes);
    return {
      username,
      origin,
      groups: standing.groups,
      method: 'apikey',
      apiKeyHash: hash,
      claims: null,
      scope,
      scopeOnly: false,
    };
  }

  #compiled(scopes: readonly string[]): Scope | null {
    if (scopes.length === 0) return null;
    const name = scopes.join('\n');
    const known = this.#scopes.get(name);
    if (known !== undefined) return known.scope;
    const scope = parseScopes(scopes);
    this.#scopes.set(name, { scope }, 1);
    return scope;
  }

  /** Writes down the uses that wait. */
  close(): Promise<void> {
    return this.#uses.close();
  }
}

function checkScopes(scopes: readonly string[]): void {
  try {
    parseScopes(scopes);
  } catch (error) {
    if (!(error instanceof ScopeError)) throw error;
    throw new RegistryError('REQUEST_INVALID', { message: error.message });
  }
}

/** As zot keeps it: lower case hex sha256 of the characters after the prefix. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function equalDigests(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
