import type { Config } from '#config';
import { apiKeyAuthenticator } from './api-keys/api-key-authenticator.ts';
import type { AccessParts, AuthMethod, Authenticator } from './contract.ts';
import { mtlsAuthenticator } from './mtls/mtls-authenticator.ts';
import { passwordAuthenticator } from './passwords/password-authenticator.ts';
import { sessionAuthenticator } from './sessions/session-authenticator.ts';
import type { SharedMethods } from './shared-methods.ts';

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
  session: async (_config, { shared }) => sessionAuthenticator(shared.sessions),
  mtls: async (config, { logger }) => mtlsAuthenticator(config, logger),
};
