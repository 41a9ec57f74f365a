import { basicCredentials } from '../basic-credentials.ts';
import type { Authenticator } from '../contract.ts';
import { isApiKey } from './api-keys.ts';
import type { ApiKeys } from './api-keys.ts';

/** The way to sign in with an API key, in the place of a password. */
export function apiKeyAuthenticator(keys: ApiKeys): Authenticator {
  return {
    method: 'apikey',
    identify: async ({ authorization: [header] }) => {
      const credentials = header === undefined ? null : basicCredentials(header);
      if (credentials === null || 'refused' in credentials) return credentials;
      const { username, password } = credentials;
      return isApiKey(password) ? keys.identify(username, password) : null;
    },
    close: async () => undefined,
  };
}
