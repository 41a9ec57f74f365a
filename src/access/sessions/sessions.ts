/**
 * Sessions of people in a browser.
 *
 * A session is a random id in a signed cookie and a record under the hash of that id. It counts only with the header
 * of the UI, gets a new id at each sign-in, lives for two hours after its last use and twelve in all, and ends at
 * once when its user no longer stands where they signed in, or when their password changed.
 */
import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { Logger } from '#lib/logger';
import type {
  AccessRequest,
  Accounts,
  EndedSession,
  SessionDesk,
  SessionRecord,
  SignedIn,
} from '../contract.ts';
import type { Origins } from '../users/origins.ts';
import { cookieOf, decrypt, encrypt, setCookie } from './session-cookie.ts';
import type { CookieCodec } from './session-cookie.ts';

export interface Session {
  readonly username: string;
  readonly groups: readonly string[];
  readonly origin: string;
  /** `Set-Cookie` values for the answer: the session lives on. */
  readonly cookies: readonly string[];
}

export interface SessionParts {
  readonly accounts: Accounts;
  readonly origins: Origins;
  readonly codec: CookieCodec;
  readonly secure: boolean;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** zot's life of a session; here it begins again with each use, up to the longest. */
export const SESSION_LIFE_MS = 2 * 3_600_000;
const SESSION_LONGEST_MS = 12 * 3_600_000;
/** A session is extended when this much of its life is over: a write for each use would be many. */
const EXTEND_AFTER_MS = 10 * 60_000;
const PURGE_MS = 10 * 60_000;
const SESSION_COOKIE = 'session';
const USER_COOKIE = 'user';

type CookieRequest = Pick<AccessRequest, 'headers'>;

export class Sessions implements SessionDesk {
  #parts: SessionParts;
  #purge: NodeJS.Timeout;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#purge = setInterval(() => this.#behind(parts.accounts.removeExpired(parts.now())), PURGE_MS);
    this.#purge.unref();
  }

  /**
   * Begins a session and gives its `Set-Cookie` values. One that the request had ends: its id may be known
   * to others.
   */
  async begin(user: SignedIn, request: CookieRequest): Promise<readonly string[]> {
    const { accounts, codec, now } = this.#parts;
    await this.end(request);
    if (user.origin.startsWith('openid:')) await accounts.setGroups(user.origin, user.username, user.groups);
    const id = randomBytes(32).toString('base64url');
    const createdMs = now();
    await accounts.addSession({
      idHash: hashOf(id),
      username: user.username,
      origin: user.origin,
      provider: user.provider,
      sealedIdToken: user.idToken === null ? null : encrypt(user.idToken, tokenKey(id)),
      proof: user.proof,
      createdMs,
      expiresMs: createdMs + SESSION_LIFE_MS,
    });
    return this.#cookies(codec.seal(id), user.username, SESSION_LIFE_MS);
  }

  /** The session of a request; `null` without one that counts. Throws when it cannot be found out. */
  async find(request: CookieRequest): Promise<Session | null> {
    const value = cookieOf(request.headers.cookie, SESSION_COOKIE);
    const found = value === null ? null : await this.#record(value);
    if (value === null || found === null) return null;
    const { username, origin, proof } = found;
    const standing = await this.#parts.origins.standing(origin, username, proof);
    if (standing === null) return null;
    return { username, origin, groups: standing.groups, cookies: this.#extended(found, value) };
  }

  /** Whether a request shows a session cookie, of whatever worth. */
  offered(request: CookieRequest): boolean {
    return cookieOf(request.headers.cookie, SESSION_COOKIE) !== null;
  }

  /** Ends the session of a request; `null` when it had none. */
  async end(request: CookieRequest): Promise<EndedSession | null> {
    const value = cookieOf(request.headers.cookie, SESSION_COOKIE);
    const id = value === null ? null : this.#parts.codec.open(value);
    if (id === null) return null;
    const found = await this.#parts.accounts.findSession(hashOf(id));
    if (found === null) return null;
    await this.#parts.accounts.removeSession(found.idHash);
    const { username, provider, sealedIdToken } = found;
    return {
      username,
      provider,
      idToken: sealedIdToken === null ? null : decrypt(sealedIdToken, tokenKey(id)),
    };
  }

  /** `Set-Cookie` values that make a browser forget. */
  expiredCookies(): readonly string[] {
    return this.#cookies('', '', 0);
  }

  async #record(value: string): Promise<SessionRecord | null> {
    const id = this.#parts.codec.open(value);
    const found = id === null ? null : await this.#parts.accounts.findSession(hashOf(id));
    return found !== null && found.expiresMs > this.#parts.now() ? found : null;
  }

  /** Lets a session live on when part of its life is over; the request does not wait for that. */
  #extended(session: SessionRecord, value: string): readonly string[] {
    const nowMs = this.#parts.now();
    const untilMs = Math.min(nowMs + SESSION_LIFE_MS, session.createdMs + SESSION_LONGEST_MS);
    if (untilMs - session.expiresMs < EXTEND_AFTER_MS) return [];
    this.#behind(this.#parts.accounts.extendSession(session.idHash, untilMs));
    return this.#cookies(value, session.username, untilMs - nowMs);
  }

  #cookies(value: string, username: string, lifeMs: number): readonly string[] {
    const { secure } = this.#parts;
    const maxAgeSeconds = Math.floor(lifeMs / 1000);
    return [
      setCookie(SESSION_COOKIE, value, { secure, httpOnly: true, maxAgeSeconds }),
      // For the scripts of the UI, which show who is signed in. Gives no rights.
      setCookie(USER_COOKIE, encodeURIComponent(username), { secure, httpOnly: false, maxAgeSeconds }),
    ];
  }

  #behind(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#parts.logger.warn({ component: 'sessions', error }, 'sessions could not be written');
    });
  }

  close(): void {
    clearInterval(this.#purge);
  }
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('hex');
}

/** A key that only the holder of the cookie has: a read of the records gives no token of a provider. */
function tokenKey(id: string): Buffer {
  return Buffer.from(hkdfSync('sha256', id, '', 'id token of a session', 32));
}
