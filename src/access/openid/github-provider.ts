/**
 * GitHub, which is OAuth2 and an interface of its own: the user is the primary e-mail address, which GitHub has
 * verified; groups are organizations and `organization/team`.
 */
import type { Configuration } from 'openid-client';
import { boundedFetch } from '#lib/bounded-fetch';
import { ProviderError } from './provider.ts';
import type { Provider, ProviderUser } from './provider.ts';
import type { ProviderConfig } from './connect-provider.ts';
import { loadClient, prepare, providerError } from './provider-client.ts';
import type { OpenidClient } from './provider-client.ts';
import type { SignInState } from './sign-in-state.ts';

const PUBLIC_HOST = 'https://github.com';
const PUBLIC_API = 'https://api.github.com';
const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const PAGE_SIZE = 100;
const PAGES_MAX = 10;

type Row = Readonly<Record<string, unknown>>;

export class GithubProvider implements Provider {
  #config: ProviderConfig;
  #api: string;

  constructor(config: ProviderConfig) {
    this.#config = config;
    this.#api = apiAddress(config);
  }

  async begin({ state, verifier }: SignInState, redirectUri: string): Promise<URL> {
    const { client, configuration } = await this.#open();
    return client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: this.#config.scopes.join(' '),
      state,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
  }

  async finish({ state, verifier }: SignInState, returned: URL): Promise<ProviderUser> {
    const { client, configuration } = await this.#open();
    // The address of the callback is this provider's alone, so no other one can stand behind it.
    returned.searchParams.delete('iss');
    try {
      const { access_token: token } = await client.authorizationCodeGrant(configuration, returned, {
        pkceCodeVerifier: verifier,
        expectedState: state,
      });
      return { username: await this.#email(token), groups: await this.#groups(token), idToken: null };
    } catch (error) {
      throw providerError('signing in failed', error);
    }
  }

  async endSessionUrl(): Promise<null> {
    return null;
  }

  async #open(): Promise<{ readonly client: OpenidClient; readonly configuration: Configuration }> {
    const { clientid, clientsecret, authurl, tokenurl } = this.#config;
    const client = await loadClient();
    const authorize = new URL(authurl === '' ? `${PUBLIC_HOST}/login/oauth/authorize` : authurl);
    const server = {
      issuer: authorize.origin,
      authorization_endpoint: authorize.href,
      token_endpoint: tokenurl === '' ? `${PUBLIC_HOST}/login/oauth/access_token` : tokenurl,
    };
    const auth = clientsecret === '' ? client.None() : client.ClientSecretPost(clientsecret);
    const configuration = new client.Configuration(server, clientid, undefined, auth);
    return { client, configuration: prepare(client, configuration, authorize) };
  }

  async #email(token: string): Promise<string> {
    const addresses = await this.#list(token, '/user/emails');
    const primary = addresses?.find(
      ({ primary: isPrimary, verified }) => isPrimary === true && verified === true,
    );
    // Without the scope for addresses, the public one, which is verified as well.
    const email = primary?.email ?? (addresses === null ? (await this.#one(token, '/user')).email : null);
    if (typeof email === 'string' && email !== '') return email;
    throw new ProviderError(
      'GitHub names no verified primary e-mail address; ask for the scope user:email',
      false,
    );
  }

  async #groups(token: string): Promise<readonly string[]> {
    const organizations = (await this.#list(token, '/user/orgs')) ?? [];
    const teams = (await this.#list(token, '/user/teams')) ?? [];
    const names = [
      ...organizations.map(({ login }) => login),
      ...teams.map(({ slug, organization }) => teamName(slug, organization)),
    ];
    return [
      ...new Set(names.filter((name) => typeof name === 'string' && name !== '').map(String)),
    ].toSorted();
  }

  /** All pages of a list; `null` where the token may not see it. */
  async #list(token: string, path: string): Promise<readonly Row[] | null> {
    const rows: Row[] = [];
    for (let page = 1; page <= PAGES_MAX; page += 1) {
      const found = await this.#get(token, `${path}?per_page=${PAGE_SIZE}&page=${page}`);
      if (found === null) return null;
      if (!Array.isArray(found)) throw new ProviderError(`${path} of GitHub is no list`, true);
      rows.push(...found.filter((row) => typeof row === 'object' && row !== null));
      if (found.length < PAGE_SIZE) break;
    }
    return rows;
  }

  async #one(token: string, path: string): Promise<Row> {
    const found = await this.#get(token, path);
    return typeof found === 'object' && found !== null ? { ...found } : {};
  }

  async #get(token: string, path: string): Promise<unknown> {
    const headers = {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'user-agent': 'zot',
      'x-github-api-version': '2022-11-28',
    };
    const options = { headers, timeoutMs: TIMEOUT_MS, sizeBytesMax: ANSWER_BYTES_MAX };
    const { status, body } = await boundedFetch(new URL(`${this.#api}${path}`), options);
    if (status === 403 || status === 404) return null;
    if (status !== 200) throw new ProviderError(`GitHub answered ${status}`, status >= 500);
    try {
      return JSON.parse(body.toString('utf8'));
    } catch {
      throw new ProviderError('GitHub answered with what is no JSON', true);
    }
  }
}

function teamName(slug: unknown, organization: unknown): string | null {
  if (typeof organization !== 'object' || organization === null || !('login' in organization)) return null;
  return typeof slug === 'string' && typeof organization.login === 'string'
    ? `${organization.login}/${slug}`
    : null;
}

/** An enterprise server has its interface below its own address. */
function apiAddress({ apiurl, authurl }: ProviderConfig): string {
  if (apiurl !== '') return apiurl.replace(/\/+$/, '');
  const origin = authurl === '' ? PUBLIC_HOST : new URL(authurl).origin;
  return origin === PUBLIC_HOST ? PUBLIC_API : `${origin}/api/v3`;
}
