import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { CookieJar, locationOf } from './cookie-jar.ts';
import { FROM_UI } from './sign-in.ts';

const TOKEN = 'gho_token_of_a_test';

/** A server that speaks as much of GitHub's interface as signing in needs, with its bounds and its errors. */
class FakeGithub {
  readonly server: Server;
  readonly seen: string[] = [];
  emails: unknown = [];
  organizations = 0;
  teamsStatus = 200;
  scopes = '';
  #codes = new Map<string, string>();

  constructor() {
    this.server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () =>
        this.#answer(new URL(request.url ?? '', this.url), request.headers, body, response),
      );
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  #answer(url: URL, headers: Record<string, unknown>, body: string, response: ServerResponse): void {
    this.seen.push(url.pathname);
    const json = (value: unknown, status = 200): unknown =>
      response
        .writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
        .end(JSON.stringify(value));
    if (url.pathname === '/login/oauth/authorize') return this.#authorize(url, response);
    if (url.pathname === '/login/oauth/access_token')
      return void json(this.#token(new URLSearchParams(body)));
    if (headers.authorization !== `Bearer ${TOKEN}` || headers['user-agent'] === undefined)
      return void json({ message: 'Bad credentials' }, 401);
    const page = Number(url.searchParams.get('page'));
    const size = Number(url.searchParams.get('per_page'));
    if (url.pathname === '/api/v3/user/emails')
      return void (this.emails === null ? json({ message: 'Not Found' }, 404) : json(this.emails));
    if (url.pathname === '/api/v3/user') return void json({ login: 'octo', email: 'public@example.com' });
    if (url.pathname === '/api/v3/user/orgs') {
      const all = Array.from({ length: this.organizations }, (_, index) => ({ login: `org-${index}` }));
      return void json(all.slice((page - 1) * size, page * size));
    }
    if (url.pathname === '/api/v3/user/teams')
      return void json([{ slug: 'core', organization: { login: 'org-0' } }], this.teamsStatus);
    json({ message: 'Not Found' }, 404);
  }

  #authorize(url: URL, response: ServerResponse): void {
    const query = url.searchParams;
    const code = randomUUID();
    this.scopes = query.get('scope') ?? '';
    this.#codes.set(code, query.get('code_challenge') ?? '');
    const back = new URL(query.get('redirect_uri') ?? '');
    back.searchParams.set('code', code);
    back.searchParams.set('state', query.get('state') ?? '');
    back.searchParams.set('iss', `${this.url}/login/oauth`);
    response.writeHead(302, { location: back.href }).end();
  }

  /** As GitHub, errors are answered with 200. */
  #token(form: URLSearchParams): unknown {
    const code = form.get('code') ?? '';
    const challenge = this.#codes.get(code);
    this.#codes.delete(code);
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (form.get('client_secret') !== 'cat') return { error: 'incorrect_client_credentials' };
    if (challenge !== verifier) return { error: 'bad_verification_code', error_description: 'expired' };
    return { access_token: TOKEN, scope: 'read:org,user:email', token_type: 'bearer' };
  }
}

describe('signing in through GitHub', { timeout: 60_000 }, () => {
  const github = new FakeGithub();
  let served: Served;
  before(async () => {
    await new Promise<void>((resolve) => github.server.listen(0, '127.0.0.1', resolve));
    const endpoints = {
      authurl: `${github.url}/login/oauth/authorize`,
      tokenurl: `${github.url}/login/oauth/access_token`,
    };
    const provider = {
      clientid: 'octo',
      clientsecret: 'cat',
      scopes: ['read:org', 'user:email'],
      ...endpoints,
    };
    const policies = [{ groups: ['org-0/core', 'org-149'], actions: ['read'] }];
    served = await serveRegistry({
      http: {
        auth: { openid: { providers: { github: provider } } },
        accessControl: { repositories: { '**': { policies } } },
      },
    });
  });
  after(async () => {
    await served.close();
    github.server.closeAllConnections();
    await new Promise((resolve) => github.server.close(resolve));
  });

  const callback = async (jar: CookieJar): Promise<URL> => {
    const start = `${served.url}/zot/auth/login?provider=github&callback_ui=/home`;
    const there = await locationOf(await jar.fetch(start), start);
    return locationOf(await fetch(there, { redirect: 'manual' }), there);
  };
  const signIn = async (jar: CookieJar): Promise<Response> => jar.fetch(await callback(jar));
  const statusOf = async (jar: CookieJar): Promise<number> =>
    (await jar.fetch(`${served.url}/v2/team/app/tags/list`, { headers: FROM_UI })).status;

  test('the user is the verified primary address; groups are organizations and teams, of all pages', async () => {
    github.emails = [
      { email: 'second@example.com', primary: false, verified: true },
      { email: 'octo@example.com', primary: true, verified: true },
    ];
    github.organizations = 150;
    const jar = new CookieJar();
    const back = await signIn(jar);
    assert.equal(back.headers.get('location'), '/home');
    assert.equal(jar.value('user'), 'octo%40example.com');
    assert.equal(github.scopes, 'read:org user:email');
    assert.equal(await statusOf(jar), 404);
    const answer = await jar.fetch(`${served.url}/zot/auth/logout`, { method: 'POST', headers: FROM_UI });
    assert.deepEqual(await answer.json(), {}, 'GitHub has no place to sign out');
  });

  test('organizations and teams that the token may not see are left out', async () => {
    github.organizations = 1;
    github.teamsStatus = 403;
    const jar = new CookieJar();
    assert.equal((await signIn(jar)).status, 302);
    assert.equal(await statusOf(jar), 403);
    github.teamsStatus = 200;
    await signIn(jar);
    assert.equal(await statusOf(jar), 404);
  });

  test('without the scope for addresses it is the public one; never one that is not verified', async () => {
    github.emails = null;
    const jar = new CookieJar();
    await signIn(jar);
    assert.equal(jar.value('user'), 'public%40example.com');
    github.emails = [{ email: 'victim@example.com', primary: true, verified: false }];
    assert.equal((await signIn(new CookieJar())).status, 401);
  });

  test('a code counts once, and only for whoever asked for it', async () => {
    github.emails = [{ email: 'octo@example.com', primary: true, verified: true }];
    const jar = new CookieJar();
    const url = await callback(jar);
    const other = new CookieJar();
    const mine = await callback(other);
    mine.searchParams.set('code', url.searchParams.get('code') ?? '');
    assert.equal((await other.fetch(mine)).status, 401, 'a code of somebody else, in my state');
    assert.equal((await jar.fetch(url)).status, 401, 'which is used up now');
    const lines = JSON.stringify(await served.logLines());
    assert.ok(!lines.includes(TOKEN) && !lines.includes(url.searchParams.get('code') ?? '-'));
  });
});
