import type { Config } from '#config';
import type { Route } from '../routes.ts';
import { deleteApiKey, getApiKeys, postApiKey } from './api-keys.ts';
import { getCallback } from './callback.ts';
import { getLogin } from './login.ts';
import { postLogout } from './logout.ts';
import { getToken } from './token.ts';

/** A route of signing in and out. Its permission is `public` where the handler itself asks who is there. */
export interface SessionRoute extends Route {
  /** Whether the configuration switches it on. */
  isConfigured(config: Config): boolean;
}

/** Every route below `/zot/auth/`. */
export const SESSION_ROUTES: readonly SessionRoute[] = [
  ...(
    [
      ['GET', '/zot/auth/login', getLogin],
      ['POST', '/zot/auth/login', getLogin],
      ['GET', '/zot/auth/callback/:provider', getCallback],
    ] as const
  ).map(([method, url, handler]): SessionRoute => ({
    method,
    url,
    permission: 'public',
    handler,
    isConfigured: ({ http }) => http.auth.openid !== undefined,
  })),
  ...(['GET', 'POST'] as const).map((method): SessionRoute => ({
    method,
    url: '/zot/auth/token',
    permission: 'public',
    handler: getToken,
    isConfigured: ({ http }) => hasTokens(http.auth),
  })),
  {
    method: 'POST',
    url: '/zot/auth/logout',
    permission: 'public',
    handler: postLogout,
    isConfigured: ({ http }) => hasPasswords(http.auth) || hasApiKeys(http.auth),
  },
  ...(
    [
      ['POST', postApiKey],
      ['GET', getApiKeys],
      ['DELETE', deleteApiKey],
    ] as const
  ).map(([method, handler]): SessionRoute => ({
    method,
    url: '/zot/auth/apikey',
    permission: 'signedIn',
    handler,
    isConfigured: ({ http }) => hasApiKeys(http.auth),
  })),
];

type Auth = Config['http']['auth'];

/** We give out tokens, or exchange those of issuers; requests are handed on beside that only, as in zot. */
function hasTokens({ token, bearer }: Auth): boolean {
  return token?.enable === true || (bearer?.oidc.length ?? 0) > 0;
}

function hasPasswords(auth: Auth): boolean {
  return (auth.htpasswd?.path ?? '') !== '' || auth.ldap !== undefined;
}

/** As in zot, OpenID brings API keys with it. */
function hasApiKeys(auth: Auth): boolean {
  return auth.apikey || auth.openid !== undefined;
}
