import type { SignInState } from './sign-in-state.ts';

/** Somebody whom a provider vouches for. */
export interface ProviderUser {
  readonly username: string;
  readonly groups: readonly string[];
  /** What the provider wants to see when its session is to end. */
  readonly idToken: string | null;
}

/** One place to sign in at. */
export interface Provider {
  /** Where the browser goes to sign in. Throws `ProviderError`. */
  begin(state: SignInState, redirectUri: string): Promise<URL>;
  /** Who came back with this address. Throws `ProviderError`. */
  finish(state: SignInState, returned: URL): Promise<ProviderUser>;
  /** Where the provider's own session ends; `null` where it has no such place. */
  endSessionUrl(idToken: string | null, returnTo: string): Promise<URL | null>;
}

/** Why nobody is signed in; the message is for the log and holds no code, token or secret. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  /** The provider could not be asked; the user did nothing wrong. */
  readonly isUnavailable: boolean;

  constructor(message: string, isUnavailable: boolean) {
    super(message);
    this.isUnavailable = isUnavailable;
  }
}
