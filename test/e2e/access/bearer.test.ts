import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { errorOf } from '../support/client.ts';
import type { Answer } from '../support/client.ts';
import { imageOf, pushImage } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { as } from './as.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, entry, forge, nowSeconds, sign, signingKey } from './token-server.ts';
import type { Claims, SigningKey } from './token-server.ts';

const REALM = 'https://auth.example/token';
const SERVICE = 'registry.example';
const image = imageOf('bearer');
const MANIFEST = `/v2/team/app/manifests/${image.manifest.digest}`;

describe('tokens of a token server', { timeout: 60_000 }, () => {
  const key = signingKey('ES256');
  let folder: string;
  let served: Served;
  const file = (name: string): string => path.join(folder, name);
  const open = (more: Record<string, unknown> = {}, http: Record<string, unknown> = {}): Promise<Served> =>
    serveRegistry({
      http: { auth: { bearer: { realm: REALM, service: SERVICE, cert: file('key.pem'), ...more } }, ...http },
    });
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'zot-bearer-'));
    await writeFile(file('key.pem'), key.publicPem);
    served = await open();
    const token = await tokenOf({
      access: [entry('team/app', 'pull', 'push'), entry('team/app2', 'pull', 'push')],
    });
    await pushImage(as(served, `Bearer ${token}`), 'team/app', image, 'v1');
    await pushImage(as(served, `Bearer ${token}`), 'team/app2', imageOf('other'), 'v1');
  });
  after(async () => {
    await served.close();
    await rm(folder, { recursive: true, force: true });
  });

  const tokenOf = (
    claims: Claims,
    header: Record<string, unknown> = {},
    by: SigningKey = key,
  ): Promise<string> =>
    sign(by, { aud: SERVICE, sub: 'robot', iat: nowSeconds(), exp: nowSeconds() + 60, ...claims }, header);
  const get = (token: string, target = MANIFEST, registry = served): Promise<Answer> =>
    registry.request('GET', target, { headers: bearer(token) });
  const pullToken = (claims: Claims = {}): Promise<string> =>
    tokenOf({ access: [entry('team/app', 'pull')], ...claims });

  test('asks for a token with the scope that the request needs', async () => {
    const scopeOf = async (method: string, target: string): Promise<string | undefined> => {
      const answer = await served.request(method, target);
      assert.equal(answer.status, 401, target);
      assert.equal(errorOf(answer).code, 'UNAUTHORIZED');
      const [, rest] = /^Bearer realm="https:\/\/auth\.example\/token",service="registry\.example"(.*)$/.exec(
        answer.headers['www-authenticate'] ?? '',
      ) ?? [null, 'no challenge'];
      return rest;
    };
    assert.equal(await scopeOf('GET', '/v2/'), '');
    assert.equal(await scopeOf('GET', '/v2/_catalog?n=1'), ',scope="registry:catalog:*"');
    assert.equal(await scopeOf('GET', MANIFEST), ',scope="repository:team/app:pull"');
    const push = ',scope="repository:team/app:pull,push"';
    assert.equal(await scopeOf('PUT', '/v2/team/app/manifests/v2'), push);
    assert.equal(await scopeOf('POST', '/v2/team/app/blobs/uploads/'), push);
    const mount = `/v2/team/app/blobs/uploads/?mount=${image.config.digest}&from=team%2Fbase`;
    assert.equal(
      await scopeOf('POST', mount),
      ',scope="repository:team/app:pull,push repository:team/base:pull"',
    );
    assert.equal(await scopeOf('DELETE', '/v2/team/app/manifests/v1'), ',scope="repository:team/app:delete"');
    const hostile = '/v2/team/app/blobs/uploads/?mount=x&from=a%22%2Cscope%3D%22b';
    assert.equal(await scopeOf('POST', hostile), push);
  });

  test('permits what its entries say, for that very repository', async () => {
    const token = await pullToken();
    assert.equal((await get(token)).status, 200);
    assert.equal((await get(token, '/v2/')).status, 200);
    for (const target of [
      '/v2/team/app2/manifests/v1',
      '/v2/team/manifests/v1',
      '/v2/team/app/x/manifests/v1',
    ]) {
      const answer = await get(token, target);
      assert.equal(answer.status, 401, target);
      assert.match(answer.headers['www-authenticate'] ?? '', /scope="repository:team[a-z0-9/]*:pull"/);
    }
    assert.equal(
      (await as(served, `Bearer ${token}`).request('DELETE', '/v2/team/app/manifests/v1')).status,
      401,
    );
    const post = await as(served, `Bearer ${token}`).request('POST', '/v2/team/app/blobs/uploads/');
    assert.equal(post.status, 401);
  });

  test('takes `*` for every action, and leaves out entries that are over', async () => {
    const all = await tokenOf({ access: [entry('team/star', '*')] });
    await pushImage(as(served, `Bearer ${all}`), 'team/star', image, 'v1');
    assert.equal(
      (await as(served, `Bearer ${all}`).request('DELETE', '/v2/team/star/manifests/v1')).status,
      202,
    );
    const past = { ...entry('team/app', 'pull'), exp: nowSeconds() - 1 };
    assert.equal((await get(await tokenOf({ access: [past] }))).status, 401);
    assert.equal((await get(await tokenOf({ access: [{ ...past, exp: nowSeconds() + 60 }] }))).status, 200);
    assert.equal((await get(await tokenOf({ access: [past, entry('team/app', 'pull')] }))).status, 200);
  });

  test('lists what may be pulled, or everything with registry:catalog:*', async () => {
    const namesOf = async (token: string): Promise<unknown> =>
      (JSON.parse((await get(token, '/v2/_catalog')).text) as { repositories: unknown }).repositories;
    assert.deepEqual(await namesOf(await pullToken()), ['team/app']);
    assert.deepEqual(await namesOf(await tokenOf({ access: [entry('team/app', 'push')] })), []);
    const catalog = { type: 'registry', name: 'catalog', actions: ['*'] };
    const all = await tokenOf({ access: [catalog] });
    assert.deepEqual(((await namesOf(all)) as string[]).slice(0, 2), ['team/app', 'team/app2']);
    assert.equal((await get(all)).status, 401, 'names are no content');
  });

  test('mounts only what it may read', async () => {
    const mount = (token: string): Promise<Answer> =>
      as(served, `Bearer ${token}`).request(
        'POST',
        `/v2/team/new/blobs/uploads/?mount=${image.config.digest}&from=team/app`,
      );
    assert.equal((await mount(await tokenOf({ access: [entry('team/new', 'push')] }))).status, 202);
    const both = await tokenOf({ access: [entry('team/new', 'pull', 'push'), entry('team/app', 'pull')] });
    assert.equal((await mount(both)).status, 201);
  });

  test('names the user in the log', async () => {
    await get(await pullToken({ sub: 'robot-seven' }));
    const lines = await served.accessLines(MANIFEST, 1);
    assert.ok(lines.some((line) => line.username === 'robot-seven'));
  });

  test('refuses tokens that are not good, each with the challenge', async () => {
    const now = nowSeconds();
    const other = signingKey('ES256');
    const claims = { aud: SERVICE, exp: now + 60, access: [entry('team/app', 'pull')] };
    const jwk = { ...other.publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' };
    const none = forge({ alg: 'none', typ: 'JWT' }, claims, Buffer.alloc(0));
    const good = await pullToken();
    const [head = '', body = '', signature = ''] = good.split('.');
    const cases: Readonly<Record<string, string>> = {
      expired: await pullToken({ exp: now - 1 }),
      'not yet': await pullToken({ nbf: now + 3600 }),
      'of the future': await pullToken({ iat: now + 3600 }),
      'another audience': await pullToken({ aud: 'registry.example.evil' }),
      'other audiences': await pullToken({ aud: ['a', 'b'] }),
      'audience of a wrong shape': await pullToken({ aud: { a: 1 } }),
      'exp as text': await pullToken({ exp: String(now + 60) }),
      'another key': await tokenOf(claims, {}, other),
      'its own key in jwk': await tokenOf(claims, { jwk }, other),
      'its own key in jku': await tokenOf(claims, { jku: 'http://127.0.0.1:1/keys' }, other),
      'its own key in x5c and x5u': await tokenOf(
        claims,
        { x5c: ['MIIB'], x5u: 'http://127.0.0.1:1/c' },
        other,
      ),
      'a path as kid': await tokenOf(claims, { kid: '../../../../dev/null' }, other),
      'a list as kid': await tokenOf(claims, { kid: ['a'] }, other),
      'alg none': none,
      'alg none, unsigned': none.replace(/\.$/, '.AA'),
      'HMAC by the public key': forge({ alg: 'HS256', typ: 'JWT' }, claims, key.publicPem),
      'HMAC by an empty key': forge({ alg: 'HS256', typ: 'JWT' }, claims, ''),
      'another algorithm': forge({ alg: 'RS256', typ: 'JWT' }, claims, Buffer.alloc(256, 1)),
      'psychic signature': forge({ alg: 'ES256', typ: 'JWT' }, claims, Buffer.alloc(64)),
      'critical extension': await tokenOf(claims, { crit: ['b64'], b64: false }).catch(() => 'a.b.c'),
      'other claims': [
        head,
        Buffer.from(JSON.stringify({ ...claims, sub: 'root' })).toString('base64url'),
        signature,
      ].join('.'),
      'no signature': `${head}.${body}.`,
      'four parts': `${good}.${signature}`,
      'access is no list': await tokenOf({ access: 'all' }),
      'access of numbers': await tokenOf({ access: [1] }),
      'too many entries': await tokenOf({ access: Array.from({ length: 501 }, () => 1) }),
      'no token': 'x',
      'ten thousand dots': '.'.repeat(10_000),
    };
    for (const [name, token] of Object.entries(cases)) {
      const answer = await get(token);
      assert.equal(answer.status, 401, name);
      assert.match(
        answer.headers['www-authenticate'] ?? '',
        /^Bearer realm=.*scope="repository:team\/app:pull"$/,
        name,
      );
    }
    assert.equal((await get(good)).status, 200);
  });

  test('takes RSA, PSS, EC and EdDSA keys in every form, and re-reads the file', async () => {
    for (const alg of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES384', 'ES512', 'EdDSA']) {
      const other = signingKey(alg);
      const forms = [other.publicPem, JSON.stringify({ keys: [other.publicKey.export({ format: 'jwk' })] })];
      if (alg === 'RS256') forms.push(String(other.publicKey.export({ type: 'pkcs1', format: 'pem' })));
      const token = await tokenOf({ access: [entry('team/app', 'pull')] }, {}, other);
      for (const form of forms) {
        await writeFile(file('next.pem'), form);
        await rename(file('next.pem'), file('key.pem'));
        await eventually(async () => (await get(token)).status === 200, 20_000, `${alg} counts`);
      }
    }
    await writeFile(file('key.pem'), 'broken');
    const log = async (): Promise<boolean> =>
      (await served.logLines()).some((line) => String(line.message).includes('the old one stays'));
    await eventually(log, 20_000, 'the broken key is told');
    await writeFile(file('key.pem'), key.publicPem);
    await eventually(
      async () => (await get(await pullToken())).status === 200,
      20_000,
      'the old key counts again',
    );
  });

  test('demands or leaves out claims as the configuration says', async () => {
    const bare = { aud: undefined, exp: undefined };
    const foreign = await pullToken({ aud: 'other', iss: 'https://elsewhere' });
    assert.equal((await get(await pullToken(bare))).status, 200, 'what is not said is not demanded');
    const strict = await open({ tokenClaims: 'required', issuers: ['https://auth.example'] });
    const lax = await open({ tokenClaims: 'unchecked' });
    const statusOf = async (registry: Served, token: string): Promise<number> =>
      (await get(token, '/v2/', registry)).status;
    try {
      const iss = 'https://auth.example';
      assert.equal(await statusOf(strict, await pullToken({ iss })), 200);
      assert.equal(await statusOf(strict, await pullToken({ iss, exp: undefined })), 401);
      assert.equal(await statusOf(strict, await pullToken({ iss, aud: undefined })), 401);
      assert.equal(await statusOf(strict, await pullToken({ iss: `${iss}.evil` })), 401);
      assert.equal(await statusOf(strict, await pullToken()), 401);
      assert.equal(await statusOf(lax, foreign), 200);
    } finally {
      await strict.close();
      await lax.close();
    }
  });

  test('does not start with a key that cannot be used', async () => {
    const weak = String(
      generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ type: 'spki', format: 'pem' }),
    );
    const secret = String(key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const cases = {
      weak,
      secret,
      none: 'hello',
      two: JSON.stringify({ keys: [{}, {}] }),
      symmetric: JSON.stringify({ keys: [{ kty: 'oct', k: 'AAAA' }] }),
    };
    for (const [name, text] of Object.entries(cases)) {
      await writeFile(file(`${name}.pem`), text);
      await assert.rejects(open({ cert: file(`${name}.pem`) }), /http\.auth\.bearer\.cert/, name);
    }
  });
});
