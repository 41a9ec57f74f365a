import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { errorOf } from '../support/client.ts';
import type { Answer } from '../support/client.ts';
import { imageOf, pushImage } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { as } from './as.ts';
import { startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import { eventually } from '../../support/eventually.ts';
import { FROM_UI, basic, passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';
import { bearer, forge, nowSeconds, sign, signingKey } from './token-server.ts';

const image = imageOf('token');
const APP = `/v2/team/app/manifests/${image.manifest.digest}`;
const OPEN = '/v2/public/app/manifests/v1';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' } as const;

interface TokenBody {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly scope?: string;
}

const bodyOf = (answer: Answer): TokenBody => JSON.parse(answer.text) as TokenBody;
const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

const accessControl = {
  repositories: {
    'team/**': {
      policies: [
        { users: ['alice'], actions: ['read', 'create', 'update', 'delete'] },
        { users: ['bob'], actions: ['read'] },
        {
          users: ['carol'],
          actions: ['read', 'create'],
          conditions: [{ expression: "req.method == 'GET'", message: 'reading only' }],
        },
      ],
    },
    'public/**': { anonymousPolicy: ['read'], policies: [{ users: ['alice'], actions: ['read', 'create'] }] },
  },
};

describe('our own token endpoint', { timeout: 60_000 }, () => {
  let file: PasswordFile;
  let served: Served;
  before(async () => {
    file = await passwordFile({
      alice: 'wonder-of-alice',
      bob: 'builder-of-bob',
      carol: 'song-of-carol',
      dave: 'nothing-of-dave',
    });
    served = await serveRegistry({
      http: {
        auth: { htpasswd: { path: file.path }, apikey: true, token: { enable: true, lifetime: '90s' } },
        accessControl,
      },
    });
    const alice = as(served, basic('alice', 'wonder-of-alice').authorization);
    await pushImage(alice, 'team/app', image, 'v1');
    await pushImage(alice, 'team/app-two', imageOf('two'), 'v1');
    await pushImage(alice, 'public/app', image, 'v1');
  });
  after(async () => {
    await served.close();
    await file.remove();
  });

  const ask = (query: string, headers: Record<string, string> = {}): Promise<Answer> =>
    served.request('GET', `/zot/auth/token?service=zot${query}`, { headers });
  const tokenOf = async (query: string, user = 'alice', password = 'wonder-of-alice'): Promise<string> => {
    const answer = await ask(query, basic(user, password));
    assert.equal(answer.status, 200, answer.text);
    return bodyOf(answer).token;
  };
  const get = (token: string, target = APP): Promise<Answer> =>
    served.request('GET', target, { headers: bearer(token) });

  test('leaves a record of each token: whose it is, what for, and where it went', async () => {
    await tokenOf('&scope=repository:team/app:pull,push', 'bob', 'builder-of-bob');
    const last = (await served.auditLines()).findLast(({ action }) => action === 'token');
    const { subject, object, outcome, clientIP } = last ?? {};
    assert.deepEqual(
      { subject, object, outcome, clientIP },
      { subject: 'bob', object: 'repository:team/app:pull', outcome: 'allowed', clientIP: '127.0.0.1' },
    );
  });

  test('is named in the challenge, before Basic', async () => {
    const answer = await served.request('GET', APP);
    assert.equal(answer.status, 401);
    const challenges = answer.rawHeaders.filter(
      (_, at) => answer.rawHeaders[at - 1]?.toLowerCase() === 'www-authenticate',
    );
    assert.deepEqual(challenges, [
      `Bearer realm="${served.url}/zot/auth/token",service="zot",scope="repository:team/app:pull"`,
      'Basic realm="Authorization Required"',
    ]);
    const hostile = await served.request('GET', APP, { headers: { host: 'a"b' } });
    assert.ok(!String(hostile.headers['www-authenticate']).includes('a"b'));
    const [ui] = [await served.request('GET', APP, { headers: FROM_UI })];
    assert.equal(ui?.headers['www-authenticate'], undefined);
  });

  test('gives a short-lived token for what was asked', async () => {
    const answer = await ask(
      '&scope=repository:team/app:pull,push&scope=repository:other:pull',
      basic('alice', 'wonder-of-alice'),
    );
    const { token, access_token: same, expires_in: seconds, issued_at: at } = bodyOf(answer);
    assert.equal(token, same);
    assert.equal(seconds, 90);
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 5000);
    assert.equal(answer.headers['cache-control'], 'no-store');
    const claims = claimsOf(token);
    assert.deepEqual(claims.access, [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]);
    assert.equal(claims.sub, 'alice');
    assert.equal(claims.aud, 'zot');
    assert.equal((await get(token)).status, 200);
    assert.equal((await get(token, '/v2/')).status, 200);
  });

  test('narrows to what the policies allow; a token never widens', async () => {
    const everything = '&scope=repository:team/app:pull,push,delete,*%20registry:catalog:*';
    assert.deepEqual(claimsOf(await tokenOf(everything, 'bob', 'builder-of-bob')).access, [
      { type: 'repository', name: 'team/app', actions: ['pull'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ]);
    assert.deepEqual(claimsOf(await tokenOf(everything, 'dave', 'nothing-of-dave')).access, [
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ]);
    const pull = await tokenOf('&scope=repository:team/app:pull');
    const narrow = as(served, `Bearer ${pull}`);
    for (const [method, target] of [
      ['DELETE', APP],
      ['POST', '/v2/team/app/blobs/uploads/'],
      ['GET', '/v2/team/app-two/manifests/v1'],
      ['GET', '/v2/team/app-two/tags/list'],
    ] as const) {
      const answer = await narrow.request(method, target);
      assert.equal(answer.status, 401, target);
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer /);
    }
    assert.deepEqual(JSON.parse((await narrow.request('GET', '/v2/_catalog')).text), {
      repositories: ['team/app'],
    });
    const all = await tokenOf('&scope=registry:catalog:*', 'bob', 'builder-of-bob');
    assert.deepEqual(JSON.parse((await get(all, '/v2/_catalog')).text), {
      repositories: ['team/app', 'team/app-two'],
    });
  });

  test('leaves conditions to the request that the token is used for', async () => {
    const token = await tokenOf('&scope=repository:team/app:pull,push', 'carol', 'song-of-carol');
    assert.equal((await get(token)).status, 200);
    const push = await as(served, `Bearer ${token}`).request('POST', '/v2/team/app/blobs/uploads/');
    assert.equal(push.status, 403);
    assert.match(push.text, /reading only/);
  });

  test('serves those without a name where a policy is for them, and nobody else', async () => {
    const answer = await ask('&scope=repository:public/app:pull,push&scope=repository:team/app:pull');
    const { token } = bodyOf(answer);
    assert.deepEqual(claimsOf(token).access, [{ type: 'repository', name: 'public/app', actions: ['pull'] }]);
    assert.equal((await get(token, OPEN)).status, 200);
    assert.equal((await get(token)).status, 401);
    const refused = await ask('&scope=repository:team/app:pull');
    assert.equal(refused.status, 401);
    assert.equal(refused.headers['www-authenticate'], 'Basic realm="zot"');
  });

  test('takes the forms that clients post', async () => {
    const post = (body: string): Promise<Answer> =>
      served.request('POST', '/zot/auth/token', { headers: FORM, body });
    const scope = 'scope=repository%3Ateam%2Fapp%3Apull+repository%3Ateam%2Fapp-two%3Apull';
    const answer = await post(
      `grant_type=password&username=alice&password=wonder-of-alice&service=zot&client_id=docker&${scope}`,
    );
    assert.equal(answer.status, 200, answer.text);
    assert.equal(bodyOf(answer).scope, 'repository:team/app:pull repository:team/app-two:pull');
    assert.equal((await get(bodyOf(answer).access_token)).status, 200);
    assert.equal((await post(`grant_type=password&username=alice&password=wrong&${scope}`)).status, 401);
    assert.equal((await post(`grant_type=refresh_token&refresh_token=abc&${scope}`)).status, 401);
    assert.equal(
      (await post('grant_type=password&username=alice&password=wonder-of-alice&service=other')).status,
      400,
    );
    const wrong = await ask('', basic('alice', 'wrong'));
    assert.equal(wrong.status, 401);
    assert.equal(wrong.headers['www-authenticate'], 'Basic realm="zot"');
    assert.equal(errorOf(wrong).code, 'UNAUTHORIZED');
  });

  test('gives no token for a token, and no key for one', async () => {
    const token = await tokenOf('&scope=repository:team/app:pull');
    assert.equal((await ask('&scope=repository:team/app:pull', bearer(token))).status, 401);
    assert.equal((await ask('', basic('alice', token))).status, 401);
    const key = await served.request('POST', '/zot/auth/apikey', { headers: bearer(token), body: '{}' });
    assert.equal(key.status, 403);
  });

  test('narrows the tokens of API keys to their scopes, and ends them with the key', async () => {
    const made = await served.request('POST', '/zot/auth/apikey', {
      headers: { ...basic('alice', 'wonder-of-alice'), 'content-type': 'application/json' },
      body: JSON.stringify({ label: 'ci', scopes: ['repository:team/app:pull'] }),
    });
    const { apiKey, uuid } = JSON.parse(made.text) as { apiKey: string; uuid: string };
    const token = await tokenOf(
      '&scope=repository:team/app:pull,push&scope=repository:team/app-two:pull',
      'alice',
      apiKey,
    );
    assert.deepEqual(claimsOf(token).access, [{ type: 'repository', name: 'team/app', actions: ['pull'] }]);
    assert.equal((await get(token)).status, 200);
    await served.request('DELETE', `/zot/auth/apikey?id=${uuid}`, {
      headers: basic('alice', 'wonder-of-alice'),
    });
    assert.equal((await get(token)).status, 401);
  });

  test('refuses tokens that others made or changed', async () => {
    const token = await tokenOf('&scope=repository:team/app:pull');
    const [head = '', body = '', signature = ''] = token.split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>;
    const claims = { ...claimsOf(token), access: [{ type: 'repository', name: 'team/app', actions: ['*'] }] };
    const own = signingKey('EdDSA');
    const bytes = Buffer.from(signature, 'base64url');
    const jwk = own.publicKey.export({ format: 'jwk' });
    const bad = [
      forge(header, claims, bytes),
      forge({ ...header, alg: 'none' }, claims, bytes),
      forge({ ...header, alg: 'HS256' }, claims, own.publicPem),
      await sign(own, claims, { kid: header.kid }),
      await sign(own, claims, { kid: header.kid, jwk }),
      await sign(own, claims, { kid: 'token-key-00000001' }),
      await sign(own, claims, { kid: 'token-key-99999999' }),
      await sign(own, claims, { kid: 'session-cookies' }),
      await sign(own, claims, {}),
      `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    ];
    for (const [index, one] of bad.entries()) assert.equal((await get(one)).status, 401, String(index));
    assert.equal((await get(token)).status, 200);
  });

  test('ends tokens when the password changes or the user goes', async () => {
    const token = await tokenOf('&scope=repository:team/app:pull', 'bob', 'builder-of-bob');
    const users = { alice: 'wonder-of-alice', carol: 'song-of-carol', dave: 'nothing-of-dave' };
    await file.replace({ ...users, bob: 'changed-later' });
    await eventually(
      async () => (await get(token)).status === 401,
      3000,
      'the token of the old password ends',
    );
    const next = await tokenOf('&scope=repository:team/app:pull', 'bob', 'changed-later');
    await file.replace(users);
    await eventually(
      async () => (await get(next)).status === 401,
      3000,
      'the token of the removed user ends',
    );
  });
});

describe('the upstream token endpoint', { timeout: 60_000 }, () => {
  let issuer: Issuer;
  let upstream: Server;
  let file: PasswordFile;
  let served: Served;
  let mode: 'token' | 'redirect' | 'huge' = 'token';
  const seen: { request: IncomingMessage; body: string }[] = [];
  before(async () => {
    issuer = await startIssuer();
    file = await passwordFile({ local: 'user' });
    upstream = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push({ request, body });
        response.setHeader('set-cookie', 'a=b');
        if (mode === 'redirect') response.writeHead(302, { location: `${issuer.url}/steal` }).end();
        else response.end(mode === 'huge' ? 'x'.repeat(300_000) : '{"token":"upstream"}');
      });
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const { port } = upstream.address() as AddressInfo;
    const realm = `http://127.0.0.1:${port}/token?fixed=1&service=wrong`;
    served = await serveRegistry({
      http: {
        auth: {
          htpasswd: { path: file.path },
          apikey: true,
          bearer: {
            oidc: [{ issuer: issuer.url, audiences: ['zot'] }],
            upstreamTokenEndpoint: { realm, service: 'upstream', allowInsecureHttp: true },
          },
        },
      },
    });
  });
  after(async () => {
    await served.close();
    upstream.closeAllConnections();
    await new Promise((resolve) => upstream.close(resolve));
    await issuer.close();
    await file.remove();
  });

  test('gets what the client sent for it, and no more', async () => {
    const headers = {
      ...basic('someone', 'else'),
      cookie: 'session=secret',
      connection: 'close, x-hop',
      'x-hop': '1',
      te: 'trailers',
    };
    const answer = await served.request(
      'GET',
      '/zot/auth/token?scope=a:b:c&scope=d:e:f&service=mine&fixed=2',
      { headers },
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '{"token":"upstream"}');
    assert.equal(answer.headers['set-cookie'], undefined);
    assert.equal(answer.headers['cache-control'], 'no-store');
    const { request } = seen.at(-1) ?? assert.fail('nothing came');
    assert.equal(request.url, '/token?scope=a%3Ab%3Ac&scope=d%3Ae%3Af&service=upstream&fixed=2');
    assert.equal(request.headers.authorization, headers.authorization);
    for (const name of ['cookie', 'x-hop', 'te']) assert.equal(request.headers[name], undefined, name);
    const body = 'grant_type=password&username=u&password=p%26q&service=mine';
    await served.request('POST', '/zot/auth/token', { headers: FORM, body });
    const posted = new URLSearchParams(seen.at(-1)?.body);
    assert.equal(posted.get('service'), 'upstream');
    assert.equal(posted.get('password'), 'p&q');
  });

  test('never gets identity tokens of our issuers, API keys or passwords that are good here', async () => {
    const before = seen.length;
    const expired = await issuer.token({ exp: nowSeconds() - 10 });
    for (const headers of [
      basic('x', expired),
      basic('local', 'user'),
      basic('local', `zak_${'0'.repeat(32)}`),
    ]) {
      assert.equal((await served.request('GET', '/zot/auth/token', { headers })).status, 401);
    }
    const posted = await served.request('POST', '/zot/auth/token', {
      headers: FORM,
      body: `refresh_token=${expired}`,
    });
    assert.equal(posted.status, 401);
    assert.equal(seen.length, before);
  });

  test('redirects are not followed, answers are bounded', async () => {
    for (const one of ['redirect', 'huge'] as const) {
      mode = one;
      const answer = await served.request('GET', '/zot/auth/token', { headers: basic('someone', 'else') });
      assert.equal(answer.status, 502, one);
      assert.match(answer.text, /failed to proxy token request/);
    }
    assert.ok(!issuer.requests.includes('/steal'));
    mode = 'token';
  });
});
