/**
 * Signing in through providers. The browser is sent there with a state that it alone holds, and comes back with a
 * code, which is changed for the user behind its back. Each state ends one sign-in: it is noted as used in the
 * records, for all processes, before the session begins.
 */
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { RegistryError } from '#oci/errors';
import type {
  AccessRequest,
  Accounts,
  AuditEvent,
  EndedSession,
  OpenidDesk,
  SignInEnd,
  SignInStart,
  SignedIn,
} from '../contract.ts';
import { ownOrigin } from '../token/own-address.ts';
import { safeCallback } from './callback-ui.ts';
import { ProviderError } from './provider.ts';
import type { Provider, ProviderUser } from './provider.ts';
import { STATE_LIFE_MS, usedStateHash } from './sign-in-state.ts';
import type { SignInState, SignInStates } from './sign-in-state.ts';

export interface OpenidParts {
  readonly config: Config;
  /** By their names in the configuration. */
  readonly providers: ReadonlyMap<string, Provider>;
  readonly states: SignInStates;
  readonly accounts: Accounts;
  readonly logger: Logger;
  readonly audit: (event: AuditEvent) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const CALLBACK = '/zot/auth/callback/';
/** Where zot's pages let people sign in. */
const LOGIN_PAGE = '/login';
/** Whose sessions these are: nobody vouches for it, so none of them ever counts. */
const USED_STATE = 'used-state';

export class OpenidSignIn implements OpenidDesk {
  #parts: OpenidParts;

  constructor(parts: OpenidParts) {
    this.#parts = parts;
  }

  async begin(name: string, callbackUi: string, request: AccessRequest): Promise<SignInStart> {
    const { config, states, now } = this.#parts;
    const provider = this.#provider(name);
    const state = states.begin(name, safeCallback(callbackUi, config), now());
    try {
      const location = await provider.begin(state, this.#redirectUri(name, request));
      return { location: location.href, cookies: [states.cookie(state)] };
    } catch (error) {
      throw this.#refusal(name, request, error);
    }
  }

  async finish(name: string, request: AccessRequest): Promise<SignInEnd> {
    const { config, states, now } = this.#parts;
    const provider = this.#provider(name);
    const state = states.read(request, name, now());
    if (state === null)
      throw this.#refusal(
        name,
        request,
        new ProviderError('nobody began to sign in here, or long ago', false),
      );
    if (await this.#isUsed(state))
      throw this.#refusal(name, request, new ProviderError('the callback was used before', false));
    const returned = new URL(this.#redirectUri(name, request));
    const question = request.url.indexOf('?');
    returned.search = question === -1 ? '' : request.url.slice(question);
    let found: ProviderUser;
    try {
      found = await provider.finish(state, returned);
    } catch (error) {
      throw this.#refusal(name, request, error);
    }
    const user = { ...found, origin: `openid:${name}`, provider: name, proof: null };
    await this.#noteUsed(state, user);
    const { username: subject, origin: object } = user;
    const clientIP = request.clientAddress;
    this.#parts.audit({ action: 'sign-in', subject, object, outcome: 'allowed', clientIP });
    return { user, callbackUi: safeCallback(state.callbackUi, config), cookies: [states.expiredCookie] };
  }

  async endSessionUrl(
    { provider: name, idToken }: EndedSession,
    request: AccessRequest,
  ): Promise<string | null> {
    const provider = this.#parts.providers.get(name);
    const origin = ownOrigin(this.#parts.config, request);
    if (provider === undefined || origin === null) return null;
    try {
      return (await provider.endSessionUrl(idToken, `${origin}${LOGIN_PAGE}`))?.href ?? null;
    } catch (error) {
      // The session here has ended; that of a provider that cannot be asked ends when it likes.
      this.#warn(name, error);
      return null;
    }
  }

  #provider(name: string): Provider {
    const provider = this.#parts.providers.get(name);
    if (provider !== undefined) return provider;
    throw new RegistryError('REQUEST_INVALID', {
      message: 'the parameter provider names none of the configuration',
    });
  }

  /** As in zot: the external address or, without one, the one that we listen on. */
  #redirectUri(name: string, request: AccessRequest): string {
    const { http } = this.#parts.config;
    const scheme = http.tls === undefined ? 'http' : 'https';
    const isListening = http.port !== 0 && !http.address.startsWith('unix:');
    const own = http.externalUrl === '' && isListening ? `${scheme}://${http.address}:${http.port}` : null;
    const origin = own ?? ownOrigin(this.#parts.config, request);
    if (origin === null)
      throw new RegistryError('REQUEST_INVALID', { message: 'the header Host is not one' });
    return `${origin}${CALLBACK}${name}`;
  }

  async #isUsed(state: SignInState): Promise<boolean> {
    return (await this.#parts.accounts.findSession(usedStateHash(state))) !== null;
  }

  async #noteUsed(state: SignInState, { username }: SignedIn): Promise<void> {
    const nowMs = this.#parts.now();
    await this.#parts.accounts.addSession({
      idHash: usedStateHash(state),
      username,
      origin: USED_STATE,
      provider: '',
      sealedIdToken: null,
      proof: null,
      createdMs: nowMs,
      expiresMs: nowMs + STATE_LIFE_MS,
    });
  }

  /** What the client gets to know: that it failed, and whether trying again may help. */
  #refusal(name: string, { clientAddress: clientIP }: AccessRequest, error: unknown): RegistryError {
    if (!(error instanceof ProviderError)) throw error;
    this.#warn(name, error);
    const headers = { 'set-cookie': [this.#parts.states.expiredCookie], 'cache-control': 'no-store' };
    if (error.isUnavailable) {
      const message = 'the provider cannot be asked at the moment, try again';
      return new RegistryError('UNAVAILABLE', { message, retryAfterSeconds: 5, headers, cause: error });
    }
    const object = `openid:${name}`;
    const reason = error.message;
    this.#parts.audit({ action: 'sign-in', subject: '', object, outcome: 'refused', clientIP, reason });
    return new RegistryError('UNAUTHORIZED', { message: 'signing in did not succeed, begin again', headers });
  }

  #warn(provider: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : 'unknown';
    this.#parts.logger.warn({ component: 'openid', provider, reason }, 'a sign-in through a provider failed');
  }
}
