/**
 * A provider of OpenID Connect: generic, Google, GitLab. Its addresses are asked for when the first user comes and
 * once in a while, never at the start: a provider that is down keeps nobody out but those who come through it.
 */
import type { ClientAuth, Configuration, PrivateKey, ServerMetadata } from 'openid-client';
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { ProviderError } from './provider.ts';
import type { Provider, ProviderUser } from './provider.ts';
import { loadClient, prepare, providerError, providerFetch } from './provider-client.ts';
import type { OpenidClient } from './provider-client.ts';
import type { SignInState } from './sign-in-state.ts';
import { groupsOf, usernameOf } from './user-claims.ts';
import type { Claims } from './user-claims.ts';

export type ProviderConfig = NonNullable<Config['http']['auth']['openid']>['providers'][string];

interface Ready {
  readonly client: OpenidClient;
  readonly configuration: Configuration;
}

const FRESH_MS = 3_600_000;
/** After a failure the provider is asked again after this long. */
const RETRY_MS = 3000;
const CLOCK_TOLERANCE_SECONDS = 30;

export class ConnectProvider implements Provider {
  #config: ProviderConfig;
  #key: PrivateKey | null;
  #logger: Logger;
  #ready: Ready | null = null;
  #readyMs = Number.NEGATIVE_INFINITY;
  #opening: Promise<Ready> | null = null;
  #failure: { readonly error: ProviderError; readonly atMs: number } | null = null;

  constructor(config: ProviderConfig, key: PrivateKey | null, logger: Logger) {
    this.#config = config;
    this.#key = key;
    this.#logger = logger;
  }

  async begin({ state, nonce, verifier }: SignInState, redirectUri: string): Promise<URL> {
    const { client, configuration } = await this.#open();
    const { scopes } = this.#config;
    return client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: (scopes.includes('openid') ? scopes : ['openid', ...scopes]).join(' '),
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
  }

  async finish({ state, nonce, verifier }: SignInState, returned: URL): Promise<ProviderUser> {
    const { client, configuration } = await this.#open();
    try {
      const tokens = await client.authorizationCodeGrant(configuration, returned, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined) throw new ProviderError('the provider sent no ID token', false);
      const hasUserInfo = configuration.serverMetadata().userinfo_endpoint !== undefined;
      const userInfo = hasUserInfo
        ? await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)
        : null;
      return this.#user(userInfo === null ? [claims] : [userInfo, claims], tokens.id_token ?? null);
    } catch (error) {
      throw providerError('signing in failed', error);
    }
  }

  #user(sources: readonly Claims[], idToken: string | null): ProviderUser {
    const { claimMapping, allowUnverifiedEmail } = this.#config;
    const names = {
      username: claimMapping?.username ?? '',
      groups: claimMapping?.groups ?? '',
      allowUnverifiedEmail,
    };
    const fellBack = (claim: string): void =>
      this.#logger.warn({ claim }, 'the provider sends no such claim, the e-mail address is used instead');
    return {
      username: usernameOf(sources, names, fellBack),
      groups: groupsOf(sources, names.groups),
      idToken,
    };
  }

  async endSessionUrl(idToken: string | null, returnTo: string): Promise<URL | null> {
    const { client, configuration } = await this.#open();
    if (configuration.serverMetadata().end_session_endpoint === undefined) return null;
    // The library adds the client id (OpenID Connect RP-Initiated Logout section 2).
    return client.buildEndSessionUrl(configuration, {
      post_logout_redirect_uri: returnTo,
      ...(idToken === null ? {} : { id_token_hint: idToken }),
    });
  }

  async #open(): Promise<Ready> {
    const nowMs = performance.now();
    if (this.#ready !== null && nowMs - this.#readyMs < FRESH_MS) return this.#ready;
    if (this.#failure !== null && nowMs - this.#failure.atMs < RETRY_MS) {
      if (this.#ready !== null) return this.#ready;
      throw this.#failure.error;
    }
    this.#opening ??= this.#discover().finally(() => (this.#opening = null));
    try {
      return await this.#opening;
    } catch (error) {
      const failure = providerError('the provider cannot be asked', error);
      this.#failure = { error: new ProviderError(failure.message, true), atMs: performance.now() };
      // What was known of it an hour ago is better than nothing.
      if (this.#ready !== null) return this.#ready;
      throw this.#failure.error;
    }
  }

  async #discover(): Promise<Ready> {
    const client = await loadClient();
    const { clientid } = this.#config;
    const issuer = new URL(this.#config.issuer);
    const found = await client.discovery(issuer, clientid, undefined, client.None(), {
      execute: issuer.protocol === 'http:' ? [client.allowInsecureRequests] : [],
      [client.customFetch]: providerFetch,
    });
    const server = found.serverMetadata();
    const metadata = { [client.clockTolerance]: CLOCK_TOLERANCE_SECONDS };
    const configuration = new client.Configuration(
      server,
      clientid,
      metadata,
      this.#clientAuth(client, server),
    );
    // The signature of ID tokens is checked as well, though they come from the provider itself.
    client.enableNonRepudiationChecks(configuration);
    this.#ready = { client, configuration: prepare(client, configuration, issuer) };
    this.#readyMs = performance.now();
    return this.#ready;
  }

  /** By a signed assertion, by the secret, or not at all: then PKCE alone binds the code to us. */
  #clientAuth(client: OpenidClient, server: ServerMetadata): ClientAuth {
    const { clientsecret } = this.#config;
    if (this.#key !== null) return client.PrivateKeyJwt(this.#key);
    if (clientsecret === '') return client.None();
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    return methods.includes('client_secret_basic') || !methods.includes('client_secret_post')
      ? client.ClientSecretBasic(clientsecret)
      : client.ClientSecretPost(clientsecret);
  }
}
