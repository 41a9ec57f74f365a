import type { Config } from '#config';
import { bearerChallenge, isCatalog } from '../bearer/bearer-challenge.ts';
import { offeredToken, refusedToken } from '../bearer/offered-token.ts';
import { TokenError } from '../bearer/signed-token.ts';
import type { Authenticator } from '../contract.ts';
import { ownOrigin } from './own-address.ts';
import type { OwnTokens } from './own-tokens.ts';

/** Where tokens are given out. */
export const TOKEN_PATH = '/zot/auth/token';

/** The way to sign in with one of our own tokens. */
export function tokenAuthenticator(config: Config, tokens: OwnTokens): Authenticator {
  return {
    method: 'token',
    identify: async (request) => {
      const token = offeredToken(request.authorization[0]);
      if (token === null || typeof token !== 'string') return token;
      try {
        return tokens.isOurs(token) ? await tokens.identify(token, isCatalog(request.url)) : null;
      } catch (error) {
        if (error instanceof TokenError) return refusedToken(error.message);
        throw error;
      }
    },
    challenge: (wanted, request) => {
      const origin = ownOrigin(config, request);
      return origin === null
        ? null
        : bearerChallenge(`${origin}${TOKEN_PATH}`, tokens.service, { wanted, request });
    },
    close: async () => undefined,
  };
}
