import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { CookieJar, locationOf, signInAtProvider } from './cookie-jar.ts';
import { CLIENT, startIdentityProvider } from './identity-provider.ts';
import type { IdentityProvider } from './identity-provider.ts';
import { FROM_UI } from './sign-in.ts';

const PROVIDER = { ...CLIENT, name: 'Test', scopes: ['profile', 'email', 'groups'] };
const accessControl = {
  groups: { admins: { users: ['amy@example.com'] } },
  repositories: {
    'team/**': { policies: [{ groups: ['ops', 'admins'], actions: ['read'] }] },
  },
};
const UNTAGGED = '/v2/team/app/tags/list';

describe('signing in through OpenID Connect', { timeout: 60_000 }, () => {
  let provider: IdentityProvider;
  let served: Served;
  const open = async (
    more: Record<string, unknown> = {},
    openid: Record<string, unknown> = {},
  ): Promise<Served> => {
    const registry = await serveRegistry({
      http: {
        accessControl,
        auth: {
          openid: {
            callbackAllowOrigins: ['https://ui.example:8443'],
            ...openid,
            providers: {
              oidc: { ...PROVIDER, issuer: provider.url, ...more },
              gitlab: { ...PROVIDER, issuer: provider.url, ...more },
            },
          },
        },
      },
    });
    provider.serve(registry.url);
    return registry;
  };
  before(async () => {
    provider = await startIdentityProvider();
    served = await open();
  });
  after(async () => {
    await served.close();
    await provider.close();
  });
  beforeEach(() => {
    provider.serve(served.url);
    provider.claims.set('amy', { email: 'amy@example.com', email_verified: true, groups: ['ops', 'dev'] });
    provider.claims.set('bob', { email: 'bob@example.com', email_verified: false });
  });

  const loginUrl = (callback = '', registry = served, name = 'oidc'): string => {
    const url = new URL(`${registry.url}/zot/auth/login`);
    url.searchParams.set('provider', name);
    if (callback !== '') url.searchParams.set('callback_ui', callback);
    return url.href;
  };
  const signIn = async (jar: CookieJar, login: string, callback = '', registry = served): Promise<Response> =>
    jar.fetch(await signInAtProvider(jar, loginUrl(callback, registry), login));
  const ask = (jar: CookieJar, target: string, registry = served): Promise<Response> =>
    jar.fetch(`${registry.url}${target}`, { headers: FROM_UI });

  test('sends the browser there with everything that binds the answer to it', async () => {
    const jar = new CookieJar();
    const response = await jar.fetch(loginUrl());
    assert.equal(response.status, 302);
    const location = await locationOf(response, served.url);
    const query = location.searchParams;
    assert.equal(location.origin, provider.url);
    assert.equal(query.get('redirect_uri'), `${served.url}/zot/auth/callback/oidc`);
    assert.equal(query.get('scope'), 'openid profile email groups');
    assert.equal(query.get('response_type'), 'code');
    assert.equal(query.get('code_challenge_method'), 'S256');
    for (const name of ['state', 'nonce', 'code_challenge'])
      assert.match(query.get(name) ?? '', /^[\w-]{43}$/);
    assert.match(
      response.headers.getSetCookie()[0] ?? '',
      /^statecookie=[\w-]+; Path=\/zot\/auth\/callback; Max-Age=600; HttpOnly; SameSite=Lax$/,
    );
    const sealed = jar.value('statecookie') ?? '';
    assert.ok(!sealed.includes(query.get('state') ?? '-'), 'the state cannot be read out of the cookie');
  });

  test('begins a session with the groups of the provider and of the configuration', async () => {
    const jar = new CookieJar();
    const back = await signIn(jar, 'amy', '/explore?x=1#top');
    assert.equal(back.status, 302);
    assert.equal(back.headers.get('location'), '/explore?x=1#top');
    assert.equal(jar.value('statecookie'), undefined);
    assert.equal(jar.value('user'), 'amy%40example.com');
    assert.equal((await ask(jar, UNTAGGED)).status, 404, 'she may read, there is nothing');
    assert.equal(
      (await jar.fetch(`${served.url}${UNTAGGED}`)).status,
      401,
      'the cookie alone counts for nothing',
    );
    provider.claims.set('amy', { email: 'amy@example.com', email_verified: true });
    const next = new CookieJar();
    await signIn(next, 'amy');
    assert.equal((await ask(next, UNTAGGED)).status, 404, 'still by the group of the configuration');
    provider.claims.set('carl', { email: 'carl@example.com', groups: 'ops' });
    const carl = new CookieJar();
    assert.equal((await signIn(carl, 'carl')).status, 201);
    assert.equal((await ask(carl, UNTAGGED)).status, 404, 'a single text is a group');
    provider.claims.set('carl', { email: 'carl@example.com', groups: [] });
    await signIn(new CookieJar(), 'carl');
    assert.equal((await ask(carl, UNTAGGED)).status, 403, 'groups are replaced, not added to');
  });

  test('leaves records of who signed in, who did not, and from where', async () => {
    const events = async (): Promise<Readonly<Record<string, unknown>>[]> =>
      (await served.auditLines()).filter(({ action }) => action === 'sign-in');
    const { length } = await events();
    await signIn(new CookieJar(), 'amy');
    assert.equal(
      (await new CookieJar().fetch(`${served.url}/zot/auth/callback/oidc?code=x&state=y`)).status,
      401,
    );
    const shown = (await events()).slice(length).map(({ subject, object, outcome, clientIP, reason }) => ({
      subject,
      object,
      outcome,
      clientIP,
      ...(reason === undefined ? {} : { reason }),
    }));
    const from = { object: 'openid:oidc', clientIP: '127.0.0.1' };
    assert.deepEqual(shown, [
      { subject: 'amy@example.com', outcome: 'allowed', ...from },
      { subject: '', outcome: 'refused', ...from, reason: 'nobody began to sign in here, or long ago' },
    ]);
  });

  test('gives a new session id at each sign-in and ends the old one', async () => {
    const jar = new CookieJar();
    jar.set('session', 'planted-by-somebody');
    await signIn(jar, 'amy');
    const first = jar.value('session');
    const stolen = jar.clone();
    await signIn(jar, 'amy');
    assert.ok(first !== undefined && first !== 'planted-by-somebody' && jar.value('session') !== first);
    assert.equal((await ask(stolen, UNTAGGED)).status, 401);
  });

  test('refuses callbacks of others, replayed, forged, or of another provider', async () => {
    const jar = new CookieJar();
    const callback = await signInAtProvider(jar, loginUrl(), 'amy');
    assert.equal((await new CookieJar().fetch(callback)).status, 401, 'a browser that did not begin');
    const other = new CookieJar();
    await other.fetch(loginUrl());
    assert.equal((await other.fetch(callback)).status, 401, 'the state of another browser');
    const elsewhere = new URL(callback);
    elsewhere.pathname = '/zot/auth/callback/gitlab';
    assert.equal((await jar.clone().fetch(elsewhere)).status, 401, 'another provider');
    const changed = new URL(callback);
    changed.searchParams.set('state', 'x');
    assert.equal((await jar.clone().fetch(changed)).status, 401, 'another state');
    const twice = new URL(callback);
    twice.searchParams.append('state', callback.searchParams.get('state') ?? '');
    assert.equal((await jar.clone().fetch(twice)).status, 401, 'two states');
    const iss = new URL(callback);
    iss.searchParams.set('iss', 'https://evil.example');
    assert.equal((await jar.clone().fetch(iss)).status, 401, 'another issuer');
    const before = jar.clone();
    assert.equal((await jar.fetch(callback)).status, 201);
    const replayed = await before.fetch(callback);
    assert.equal(replayed.status, 401);
    assert.equal(before.value('session'), undefined);
    const denied = new CookieJar();
    const state =
      (await locationOf(await denied.fetch(loginUrl()), served.url)).searchParams.get('state') ?? '';
    const answer = new URLSearchParams({ error: 'access_denied', state, iss: provider.url });
    assert.equal(
      (await denied.fetch(`${served.url}/zot/auth/callback/oidc?${answer.toString()}`)).status,
      401,
    );
    const sealed = new CookieJar();
    sealed.set('statecookie', 'AAAA'.repeat(20), '/zot/auth/callback');
    assert.equal((await sealed.fetch(callback)).status, 401);
    assert.equal((await new CookieJar().fetch(loginUrl('', served, 'nobody'))).status, 400);
    assert.equal((await new CookieJar().fetch(`${served.url}/zot/auth/callback/nobody?code=1`)).status, 400);
  });

  test('sends nobody to another site afterwards', async () => {
    const cases: Readonly<Record<string, string>> = {
      '//evil.example': '/',
      '///evil.example': '/',
      '/\\evil.example': '/',
      '\\/evil.example': '/',
      '/%5Cevil.example': '/',
      '/%5cevil.example': '/',
      '/.//evil.example': '/',
      '/x/..//evil.example': '/',
      '/\t/evil.example': '/',
      '/\r\nset-cookie: a=b': '/',
      '/%0d%0aset-cookie:a=b': '/',
      'https://evil.example': '/',
      'https:evil.example': '/',
      'https:/evil.example': '/',
      'HTTPS://ui.example': '/',
      'https://ui.example:8444/x': '/',
      'http://ui.example:8443/x': '/',
      'https://ui.example:8443@evil.example/': '/',
      'https://user@ui.example:8443/': '/',
      'https://ui.example:8443.evil.example/': '/',
      'javascript:alert(1)': '/',
      'data:text/html,x': '/',
      evil: '/',
      [`/${'a'.repeat(3000)}`]: '/',
      'https://ui.example:8443/x?y': 'https://ui.example:8443/x?y',
      '/home': '/home',
    };
    const jar = new CookieJar();
    for (const [asked, expected] of Object.entries(cases)) {
      const back = await signIn(jar, 'amy', asked);
      assert.equal(back.headers.get('location'), expected, JSON.stringify(asked));
      assert.equal(back.headers.get('set-cookie')?.includes('a=b'), false);
    }
  });

  test('respects what the provider says of the e-mail address, and maps other claims', async () => {
    assert.equal((await signIn(new CookieJar(), 'bob')).status, 401);
    provider.claims.set('none', {});
    assert.equal((await signIn(new CookieJar(), 'none')).status, 401);
    const lax = await open({ allowUnverifiedEmail: true });
    assert.equal((await signIn(new CookieJar(), 'bob', '', lax)).status, 201);
    await lax.close();
    const mapped = await open({ claimMapping: { username: 'preferred_username', groups: 'team' } });
    provider.claims.set('dora', {
      preferred_username: 'dora',
      email: 'd@example.com',
      team: ['ops'],
      groups: ['x'],
    });
    const dora = new CookieJar();
    await signIn(dora, 'dora', '', mapped);
    assert.equal(dora.value('user'), 'dora');
    assert.equal((await ask(dora, UNTAGGED, mapped)).status, 404);
    provider.claims.set('eve', { preferred_username: '', email: 'eve@example.com' });
    const eve = new CookieJar();
    await signIn(eve, 'eve', '', mapped);
    assert.equal(eve.value('user'), 'eve%40example.com', 'an empty claim falls back to the address');
    await mapped.close();
  });

  test('ends the session here and at the provider', async () => {
    const jar = new CookieJar();
    await signIn(jar, 'amy');
    const stolen = jar.clone();
    const answer = await jar.fetch(`${served.url}/zot/auth/logout`, { method: 'POST', headers: FROM_UI });
    const { endSessionUrl } = (await answer.json()) as { endSessionUrl: string };
    const url = new URL(endSessionUrl);
    assert.equal(url.origin, provider.url);
    assert.equal(url.searchParams.get('client_id'), 'zot');
    assert.equal(url.searchParams.get('post_logout_redirect_uri'), `${served.url}/login`);
    assert.equal((await ask(stolen, UNTAGGED)).status, 401, 'the session is gone, not only the cookie');
    assert.equal((await jar.fetch(url)).status, 200, 'the provider knows what to do');
    const again = await jar.fetch(`${served.url}/zot/auth/logout`, { method: 'POST', headers: FROM_UI });
    assert.deepEqual(await again.json(), {});
  });

  test('an API key of a user has the groups of their last sign-in', async () => {
    const jar = new CookieJar();
    await signIn(jar, 'amy');
    const made = await jar.fetch(`${served.url}/zot/auth/apikey`, {
      method: 'POST',
      headers: { ...FROM_UI, 'content-type': 'application/json' },
      body: '{"label":"x"}',
    });
    assert.equal(made.status, 201);
    const { apiKey } = (await made.json()) as { apiKey: string };
    const authorization = `Basic ${Buffer.from(`amy@example.com:${apiKey}`).toString('base64')}`;
    assert.equal((await served.request('GET', UNTAGGED, { headers: { authorization } })).status, 404);
  });

  test('starts while the provider is down, and says so to those who come', async () => {
    provider.pause();
    const early = await serveRegistry({
      http: { auth: { openid: { providers: { oidc: { ...PROVIDER, issuer: provider.url } } } } },
    });
    const answer = await early.request('GET', '/zot/auth/login?provider=oidc');
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.headers['retry-after']) > 0);
    await early.close();
  });

  test('no code, state, secret or token is in the log', async () => {
    const jar = new CookieJar();
    const callback = await signInAtProvider(jar, loginUrl(), 'amy');
    await jar.fetch(callback);
    const text = JSON.stringify(await served.logLines());
    const secrets = [
      callback.searchParams.get('code'),
      callback.searchParams.get('state'),
      jar.value('session'),
      CLIENT.clientsecret,
    ];
    for (const secret of secrets)
      assert.ok(secret !== null && secret !== undefined && !text.includes(secret));
  });
});
