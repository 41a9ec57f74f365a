import type { Config } from '#config';
import { apiKeyAuthenticator } from './api-keys/api-key-authenticator.ts';
import { openBearer } from './bearer/bearer-authenticator.ts';
import { oidcAuthenticator } from './oidc/oidc-authenticator.ts';
import type { AccessParts, AuthMethod, Authenticator } from './contract.ts';
import { mtlsAuthenticator } from './mtls/mtls-authenticator.ts';
import { passwordAuthenticator } from './passwords/password-authenticator.ts';
import { sessionAuthenticator } from './sessions/session-authenticator.ts';
import type { SharedMethods } from './shared-methods.ts';
import { tokenAuthenticator } from './token/token-authenticator.ts';

/** What the ways to sign in have at hand. */
export interface MethodParts extends AccessParts {
  readonly shared: SharedMethods;
}

export type OpenAuthenticator = (config: Config, parts: MethodParts) => Promise<Authenticator>;

/**
 * How each way to sign in is opened, one line each; `methods.ts` says when it is configured and in which order they
 * are asked. A configuration that asks for one that is missing here does not start.
 */
export const AUTHENTICATORS: Readonly<Partial<Record<AuthMethod, OpenAuthenticator>>> = {
  apikey: async (_config, { shared }) => apiKeyAuthenticator(shared.apiKeys),
  htpasswd: async (_config, { shared }) => passwordAuthenticator(shared, 'htpasswd'),
  ldap: async (_config, { shared }) => passwordAuthenticator(shared, 'ldap'),
  token: async (config, { shared }) => tokenAuthenticator(config, required(shared.ownTokens)),
  oidc: async (config, { shared }) => oidcAuthenticator(config, required(shared.oidc)),
  bearer: openBearer,
  session: async (_config, { shared }) => sessionAuthenticator(shared.sessions),
  mtls: async (config, { logger }) => mtlsAuthenticator(config, logger),
};

/** What is opened together with the way to sign in that needs it. */
function required<Part>(part: Part | null): Part {
  if (part === null) throw new Error('a part of a configured way to sign in was not opened');
  return part;
}
