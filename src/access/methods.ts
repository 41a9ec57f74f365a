import type { Config } from '#config';
import type { AuthMethod } from './contract.ts';

/** Where a way to sign in looks: in the `Authorization` header, in a cookie, in the TLS handshake. */
export type CredentialPlace = 'header' | 'cookie' | 'certificate';

export interface SignInMethod {
  readonly method: AuthMethod;
  readonly place: CredentialPlace;
  /** The key of the configuration that switches it on. */
  readonly key: string;
  isConfigured(config: Config): boolean;
}

/**
 * Every way to sign in, in the order in which a request is tried. API keys come before passwords, since they are
 * told by their form and cheap to look up.
 */
export const METHODS: readonly SignInMethod[] = [
  {
    method: 'apikey',
    place: 'header',
    key: 'http.auth.apikey',
    isConfigured: ({ http }) => hasApiKeys(http.auth),
  },
  {
    method: 'htpasswd',
    place: 'header',
    key: 'http.auth.htpasswd',
    isConfigured: ({ http }) => hasHtpasswd(http.auth),
  },
  {
    method: 'ldap',
    place: 'header',
    key: 'http.auth.ldap',
    isConfigured: ({ http }) => http.auth.ldap !== undefined,
  },
  {
    method: 'token',
    place: 'header',
    key: 'http.auth.token',
    isConfigured: ({ http }) => http.auth.token?.enable === true,
  },
  {
    method: 'oidc',
    place: 'header',
    key: 'http.auth.bearer.oidc',
    isConfigured: ({ http }) => hasOidc(http.auth),
  },
  {
    method: 'bearer',
    place: 'header',
    key: 'http.auth.bearer',
    isConfigured: ({ http }) => hasBearer(http.auth),
  },
  {
    method: 'session',
    place: 'cookie',
    key: 'http.auth.openid',
    isConfigured: ({ http }) => hasSessions(http.auth),
  },
  {
    method: 'mtls',
    place: 'certificate',
    key: 'http.tls.cacert',
    isConfigured: ({ http }) => hasMtls(http.tls),
  },
];

type Auth = Config['http']['auth'];

function hasHtpasswd(auth: Auth): boolean {
  return (auth.htpasswd?.path ?? '') !== '';
}

/** As in zot, OpenID brings API keys with it: its users have no password for clients. */
function hasApiKeys(auth: Auth): boolean {
  return auth.apikey || auth.openid !== undefined;
}

function hasOidc(auth: Auth): boolean {
  return (auth.bearer?.oidc ?? []).some(({ issuer, audiences }) => issuer !== '' && audiences.length > 0);
}

function hasBearer(auth: Auth): boolean {
  const { bearer } = auth;
  if (bearer === undefined || bearer.realm === '' || bearer.service === '') return false;
  return bearer.cert !== '' || bearer.awsSecretsManager !== undefined;
}

/** Sessions begin with a password in the UI or with OpenID. */
function hasSessions(auth: Auth): boolean {
  return hasHtpasswd(auth) || auth.ldap !== undefined || auth.openid !== undefined;
}

function hasMtls(tls: Config['http']['tls']): boolean {
  return tls !== undefined && tls.cert !== '' && tls.key !== '' && tls.cacert !== '';
}
