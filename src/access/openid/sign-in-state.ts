import { createHash, randomBytes } from 'node:crypto';
import { cookieOf, decrypt, encrypt, setCookie } from '../sessions/session-cookie.ts';

/** What is remembered in the browser between its way to a provider and back. */
export interface SignInState {
  readonly provider: string;
  /** Comes back from the provider: the answer is to this very request (RFC 6749 section 10.12). */
  readonly state: string;
  /** Comes back in the ID token (OpenID Connect Core section 3.1.2.1). */
  readonly nonce: string;
  /** PKCE: only who began can end it (RFC 7636). */
  readonly verifier: string;
  readonly callbackUi: string;
  /** Milliseconds since the epoch. */
  readonly untilMs: number;
}

/** Signing in at the provider, with a second factor, may take as long. */
export const STATE_LIFE_MS = 10 * 60_000;
const COOKIE = 'statecookie';
const PATH = '/zot/auth/callback';
const SEALED_CHARS_MAX = 4096;

type CookieRequest = { readonly headers: Readonly<Record<string, string | string[] | undefined>> };

/** Keeps the state in a cookie that only we can read, sent to the callback alone: any process may be asked next. */
export class SignInStates {
  #key: Buffer;
  #secure: boolean;

  /** `key`: 32 bytes that all processes share. */
  constructor(key: Buffer, secure: boolean) {
    this.#key = key;
    this.#secure = secure;
  }

  begin(provider: string, callbackUi: string, nowMs: number): SignInState {
    const secret = (): string => randomBytes(32).toString('base64url');
    const [state, nonce, verifier] = [secret(), secret(), secret()];
    return { provider, state, nonce, verifier, callbackUi, untilMs: nowMs + STATE_LIFE_MS };
  }

  cookie(state: SignInState): string {
    return this.#cookie(encrypt(JSON.stringify(state), this.#key), STATE_LIFE_MS / 1000);
  }

  /** Makes the browser forget. */
  get expiredCookie(): string {
    return this.#cookie('', 0);
  }

  #cookie(value: string, maxAgeSeconds: number): string {
    return setCookie(COOKIE, value, { secure: this.#secure, httpOnly: true, maxAgeSeconds, path: PATH });
  }

  /** The state of a browser that came back; `null` without one, or with one that is over or of another provider. */
  read(request: CookieRequest, provider: string, nowMs: number): SignInState | null {
    const value = cookieOf(request.headers.cookie, COOKIE);
    const text = value === null || value.length > SEALED_CHARS_MAX ? null : decrypt(value, this.#key);
    if (text === null) return null;
    // Sealed by us, so it has our shape.
    const state = JSON.parse(text) as SignInState;
    return state.provider === provider && state.untilMs > nowMs ? state : null;
  }
}

/** The name under which it is noted that a state was used; it is the id of no session. */
export function usedStateHash({ state }: SignInState): string {
  return createHash('sha256').update(`used state of a sign-in\0${state}`).digest('hex');
}
