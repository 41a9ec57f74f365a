import type { Config } from '#config';

/** `http.auth` of the answer, in zot's words: a key that is there is a way to sign in. */
export interface SignInMethods {
  /** A name and a password are taken, whoever knows them. */
  readonly htpasswd?: Record<string, never>;
  readonly bearer?: { readonly realm?: string; readonly service?: string };
  readonly openid?: { readonly providers: Readonly<Record<string, { readonly name?: string }>> };
  readonly apikey?: true;
  /** Whether somebody without a name may read or write anything at all. */
  readonly allowAnonymousAccess?: true;
}

/**
 * The ways to sign in that a configuration switches on, for clients that have not signed in yet: names alone, never an
 * address, a path or a secret of the configuration. The realm and service of bearer tokens stand in every challenge.
 */
export function signInMethods({ http }: Config): SignInMethods {
  const { auth, accessControl } = http;
  const { openid, bearer } = auth;
  const takesPasswords = (auth.htpasswd?.path ?? '') !== '' || auth.ldap !== undefined;
  return {
    ...(takesPasswords ? { htpasswd: {} } : {}),
    ...(bearer === undefined
      ? {}
      : { bearer: withoutEmpty({ realm: bearer.realm, service: bearer.service }) }),
    ...(openid === undefined ? {} : { openid: { providers: shownProviders(openid.providers) } }),
    // OpenID brings API keys with it.
    ...(auth.apikey || openid !== undefined ? { apikey: true } : {}),
    ...(admitsAnybody(accessControl) ? { allowAnonymousAccess: true } : {}),
  };
}

type Openid = NonNullable<Config['http']['auth']['openid']>;

function shownProviders(providers: Openid['providers']): NonNullable<SignInMethods['openid']>['providers'] {
  const shown = Object.entries(providers).map(([id, { name }]) => [id, withoutEmpty({ name })] as const);
  return Object.fromEntries(shown);
}

/** zot leaves out what is not set. */
function withoutEmpty<Name extends string>(texts: Record<Name, string>): Partial<Record<Name, string>> {
  const set = Object.entries<string>(texts).filter(([, text]) => text !== '');
  return Object.fromEntries(set) as Partial<Record<Name, string>>;
}

function admitsAnybody(accessControl: Config['http']['accessControl']): boolean {
  const rules = Object.values(accessControl?.repositories ?? {});
  return rules.some(({ anonymousPolicy }) => anonymousPolicy.length > 0);
}
