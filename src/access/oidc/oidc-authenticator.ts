import type { Config } from '#config';
import type { Authenticator } from '../contract.ts';
import { bearerChallenge } from '../bearer/bearer-challenge.ts';
import { offeredToken, refusedToken } from '../bearer/offered-token.ts';
import { TokenError } from '../bearer/signed-token.ts';
import type { OidcTokens } from './oidc-tokens.ts';

/** The way to sign in with an identity token of an OIDC issuer; the policies decide what its user may do. */
export function oidcAuthenticator(config: Config, tokens: OidcTokens): Authenticator {
  const { realm = '', service = '' } = config.http.auth.bearer ?? {};
  return {
    method: 'oidc',
    identify: async (request) => {
      const token = offeredToken(request.authorization[0]);
      if (token === null || typeof token !== 'string') return token;
      try {
        const { username, groups, claims } = await tokens.verify(token);
        return { username, groups, claims, origin: 'oidc', method: 'oidc', scope: null, scopeOnly: false };
      } catch (error) {
        if (error instanceof TokenError) return refusedToken(error.message);
        throw error;
      }
    },
    challenge: (wanted, request) =>
      realm === '' ? null : bearerChallenge(realm, service, { wanted, request }),
    close: async () => tokens.close(),
  };
}
