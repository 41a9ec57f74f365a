/**
 * What several ways to sign in have in common: who knows passwords, who vouches for users, sessions, API keys.
 * Opened once for a configuration, before the ways themselves; each part is closed by the way that is named for it.
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';
import { OidcTokens } from './oidc/oidc-tokens.ts';
import { ownService } from './token/own-address.ts';
import { OwnTokens } from './token/own-tokens.ts';
import { ApiKeys, isApiKey } from './api-keys/api-keys.ts';
import type { AccessParts, Accounts } from './contract.ts';
import { HtpasswdUsers } from './passwords/htpasswd-users.ts';
import { PasswordHashing } from './passwords/password-hashing.ts';
import { PasswordSignIn } from './passwords/password-sign-in.ts';
import type { PasswordSource } from './passwords/password-source.ts';
import type { SignInMemory } from './passwords/sign-in-memory.ts';
import { CookieCodec } from './sessions/session-cookie.ts';
import type { CookieKeys } from './sessions/session-cookie.ts';
import { Sessions } from './sessions/sessions.ts';
import { Origins, plainVouchers } from './users/origins.ts';
import type { Voucher } from './users/origins.ts';

export interface SharedMethods {
  /** `null` when nobody signs in with a password. */
  readonly passwords: PasswordSignIn | null;
  readonly origins: Origins;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  /** Seals the state of sign-ins through providers; the same in all processes. */
  readonly openidStateKey: Buffer;
  /** `null` without issuers of identity tokens. */
  readonly oidc: OidcTokens | null;
  /** `null` where we give out no tokens. */
  readonly ownTokens: OwnTokens | null;
  close(): Promise<void>;
}

const HASHING_THREADS_MAX = 4;
const HASH_KEY_BYTES = 64;

/** Throws `StartError` when a part that the configuration asks for cannot be had. */
export async function openSharedMethods(
  config: Config,
  parts: AccessParts,
  memory: SignInMemory,
): Promise<SharedMethods> {
  const { auth, tls } = config.http;
  const { accounts, logger } = parts;
  if (auth.sessionDriver?.name === 'redis') {
    throw new StartError(
      'http.auth.sessionDriver: "redis" is not supported yet; sessions are kept in the local records',
    );
  }
  const keys = await cookieKeys(config, accounts);
  // First, since it may refuse the configuration, and opens nothing that would have to be closed.
  const issuers = auth.bearer?.oidc ?? [];
  const oidc = issuers.length === 0 ? null : new OidcTokens(issuers, { accounts, logger });
  const hashing = new PasswordHashing(hashingThreads(config));
  const sources = await openSources(config, hashing, logger);
  const vouchers = sources.map((source): [string, Voucher] => [source.method, source]);
  const origins = new Origins(new Map([...plainVouchers(config, accounts), ...vouchers]));
  const now = (): number => Date.now();
  const secure = tls !== undefined || auth.secureSession === true;
  const sessions = new Sessions({ accounts, origins, codec: new CookieCodec(keys), secure, logger, now });
  const apiKeys = new ApiKeys({ accounts, origins, logger, now });
  const ownTokens = openOwnTokens(config, accounts, origins);
  const passwords = sources.length === 0 ? null : await passwordSignIn(config, { ...parts, memory }, sources);
  return {
    passwords,
    origins,
    sessions,
    apiKeys,
    openidStateKey: Buffer.from(hkdfSync('sha256', keys.hashKey, '', 'state of sign-ins', 32)),
    oidc,
    ownTokens,
    close: async () => {
      sessions.close();
      oidc?.close();
      await Promise.all([apiKeys.close(), hashing.close(), ...sources.map((source) => source.close())]);
    },
  };
}

function openOwnTokens(config: Config, accounts: Accounts, origins: Origins): OwnTokens | null {
  const { token } = config.http.auth;
  if (token?.enable !== true) return null;
  return new OwnTokens({ accounts, origins, service: ownService(config), lifetimeMs: token.lifetime });
}

/** The password file before the directory. */
async function openSources(
  { http: { auth } }: Config,
  hashing: PasswordHashing,
  logger: Logger,
): Promise<(PasswordSource & Voucher)[]> {
  const path = auth.htpasswd?.path ?? '';
  const sources: (PasswordSource & Voucher)[] = path === '' ? [] : [new HtpasswdUsers(path, hashing, logger)];
  try {
    // Not in the memory of those who have none.
    if (auth.ldap !== undefined)
      sources.push((await import('./ldap/open-ldap.ts')).openLdap(auth.ldap, logger));
    return sources;
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

async function passwordSignIn(
  config: Config,
  parts: AccessParts & { readonly memory: SignInMemory },
  sources: readonly PasswordSource[],
): Promise<PasswordSignIn> {
  const { accounts, attempts, logger, audit, memory } = parts;
  const { auth } = config.http;
  const hasApiKeys = auth.apikey || auth.openid !== undefined;
  return new PasswordSignIn({
    sources,
    attempts,
    attemptKey: await sharedKey(accounts, 'sign-in-attempts', 32),
    logger,
    audit,
    memory,
    isForeign: (password) => hasApiKeys && isApiKey(password),
  });
}

/** One thread for each serving process and, where there is but one, one for each core beside its own. */
function hashingThreads(config: Config): number {
  const share =
    Math.floor(availableParallelism() / config.http.workers) - (config.http.workers === 1 ? 1 : 0);
  return Math.min(HASHING_THREADS_MAX, Math.max(1, share));
}

/** Those of the configuration, or one that is kept in the records, so that processes and restarts agree. */
async function cookieKeys(config: Config, accounts: Accounts): Promise<CookieKeys> {
  const { sessionHashKey, sessionEncryptKey } = config.http.auth;
  const encryptKey = (sessionEncryptKey ?? '') === '' ? null : Buffer.from(sessionEncryptKey);
  if (encryptKey !== null && ![16, 24, 32].includes(encryptKey.length)) {
    throw new StartError(
      `http.auth: the key that encrypts sessions has ${encryptKey.length} bytes, not 16, 24 or 32`,
    );
  }
  const hashKey =
    sessionHashKey === ''
      ? await sharedKey(accounts, 'session-cookies', HASH_KEY_BYTES)
      : Buffer.from(sessionHashKey);
  return { hashKey, encryptKey };
}

async function sharedKey(accounts: Accounts, name: string, sizeBytes: number): Promise<Buffer> {
  const kept = await accounts.findSharedKey(name);
  return kept ?? Buffer.from(await accounts.keepSharedKey(name, randomBytes(sizeBytes)));
}
