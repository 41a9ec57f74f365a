import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeCertificates } from '../../support/tls.ts';
import type { Answer } from '../support/client.ts';
import { imageOf, pushImage } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { as } from './as.ts';
import { startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import { basic } from './sign-in.ts';
import { bearer, nowSeconds, sign, signingKey } from './token-server.ts';

const image = imageOf('workload');
const MAPPING = {
  variables: [
    { name: 'repo', expression: 'claims.repository' },
    { name: 'owner', expression: "vars.repo.split('/')[0]" },
  ],
  validations: [{ expression: "vars.owner == 'acme'", message: 'only of acme' }],
  username: "vars.repo + '@' + claims.ref",
  groups: "claims.teams.map(t, vars.owner + '-' + t)",
};
const WORK = { repository: 'acme/app', ref: 'main', teams: ['ops', 'dev'] };

describe('identity tokens of OIDC issuers', { timeout: 60_000 }, () => {
  let issuer: Issuer;
  let served: Served;
  before(async () => {
    issuer = await startIssuer();
    const bearerKeys = {
      realm: 'https://zot.example/zot/auth/token',
      service: 'zot',
      oidc: [
        { issuer: 'http://127.0.0.1:1', audiences: ['zot'] },
        { issuer: issuer.url, audiences: ['zot', 'other'], claimMapping: MAPPING },
        { issuer: issuer.url, audiences: ['plain'] },
      ],
    };
    const accessControl = {
      repositories: {
        '**': {
          policies: [
            { groups: ['acme-ops'], actions: ['read', 'create'] },
            {
              users: [`${issuer.url}/job`],
              actions: ['read'],
              conditions: [{ expression: "req.claims.ref == 'main'", message: 'main only' }],
            },
          ],
        },
      },
    };
    served = await serveRegistry({ http: { auth: { bearer: bearerKeys }, accessControl } });
    await pushImage(as(served, `Bearer ${await issuer.token(WORK)}`), 'team/app', image, 'v1');
  });
  after(async () => {
    await served.close();
    await issuer.close();
  });

  const MANIFEST = `/v2/team/app/manifests/${image.manifest.digest}`;
  const get = (token: string, target = MANIFEST, registry = served): Promise<Answer> =>
    registry.request('GET', target, { headers: bearer(token) });
  const statusOf = async (claims: Record<string, unknown>, target = MANIFEST): Promise<number> =>
    (await get(await issuer.token(claims), target)).status;

  test('become users and groups by CEL, judged by the policies', async () => {
    assert.equal(await statusOf(WORK), 200);
    assert.equal(await statusOf({ ...WORK, teams: ['dev'] }), 403);
    const lines = await served.accessLines(MANIFEST);
    assert.ok(lines.some(({ username }) => username === 'acme/app@main'));
  });

  test('are refused when a validation fails, a claim is missing or has a wrong type', async () => {
    assert.equal(await statusOf({ ...WORK, repository: 'evil/app' }), 401);
    assert.equal(await statusOf({ ...WORK, teams: 'ops' }), 401);
    assert.equal(await statusOf({ ...WORK, teams: [1] }), 401);
    assert.equal(await statusOf({ ...WORK, ref: 7 }), 401);
    assert.equal(await statusOf({ repository: 'acme/app' }), 401);
  });

  test('have issuer and subject as the user by default; claims are for conditions', async () => {
    assert.equal(await statusOf({ aud: 'plain', ref: 'main' }), 200);
    const refused = await get(await issuer.token({ aud: 'plain', ref: 'side' }));
    assert.equal(refused.status, 403);
    assert.ok(refused.text.includes('main only'));
    assert.equal(await statusOf({ aud: ['x', 'plain'], ref: 'main' }), 200);
  });

  test('are refused for other audiences, issuers, times and keys, with the challenge', async () => {
    const other = signingKey('ES256');
    const good = { ...WORK, iss: issuer.url, aud: 'zot', sub: 'job', exp: nowSeconds() + 60 };
    const tokens = [
      await issuer.token({ ...WORK, aud: 'zot2' }),
      await issuer.token({ ...WORK, aud: [] }),
      await issuer.token({ ...WORK, iss: `${issuer.url}/` }),
      await issuer.token({ ...WORK, iss: 'http://127.0.0.1:1' }),
      await issuer.token({ ...WORK, exp: nowSeconds() - 5 }),
      await issuer.token({ ...WORK, exp: undefined }),
      await issuer.token({ ...WORK, nbf: nowSeconds() + 600 }),
      await issuer.token(WORK, { kid: 'unknown' }),
      await issuer.token(WORK, { kid: ['first'] }),
      await sign(other, good, { kid: 'first' }),
      await sign(other, good, { kid: 'first', jwk: other.publicKey.export({ format: 'jwk' }) }),
    ];
    for (const [index, token] of tokens.entries()) {
      const answer = await get(token);
      assert.equal(answer.status, 401, String(index));
      assert.equal(
        answer.headers['www-authenticate'],
        'Bearer realm="https://zot.example/zot/auth/token",service="zot",scope="repository:team/app:pull"',
      );
    }
    assert.equal(
      (await get(await issuer.token(WORK, { kid: undefined }))).status,
      200,
      'no kid: the keys are tried',
    );
  });

  test('do not make the issuer be asked again and again', async () => {
    const before = issuer.requests.length;
    for (let count = 0; count < 30; count += 1)
      await get(await issuer.token(WORK, { kid: `unknown-${count}` }));
    assert.ok(issuer.requests.length - before <= 2, String(issuer.requests.length - before));
  });

  test('are exchanged for themselves at the token endpoint, and never sent elsewhere', async () => {
    const token = await issuer.token(WORK);
    const answer = await served.request('GET', '/zot/auth/token?service=zot&scope=repository:team/app:pull', {
      headers: basic('any', token),
    });
    assert.equal(answer.status, 200);
    const body = JSON.parse(answer.text) as Record<string, unknown>;
    assert.deepEqual(Object.keys(body), ['token', 'access_token', 'expires_in', 'issued_at']);
    assert.equal(body.token, token);
    assert.ok(Number(body.expires_in) > 290);
    assert.equal(answer.headers['cache-control'], 'no-store');
    const bad = await served.request('GET', '/zot/auth/token', {
      headers: basic('any', await issuer.token({ ...WORK, repository: 'evil/app' })),
    });
    assert.equal(bad.status, 401);
    assert.equal(bad.headers['www-authenticate'], 'Basic realm="https://zot.example/zot/auth/token"');
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const posted = await served.request('POST', '/zot/auth/token', {
      headers: form,
      body: `id_token=${token}`,
    });
    assert.equal(posted.status, 200);
    const huge = await served.request('POST', '/zot/auth/token', {
      headers: form,
      body: `token=${'.'.repeat(70_000)}`,
    });
    assert.equal(huge.status, 413);
    const broken = await served.request('POST', '/zot/auth/token', { headers: form, body: 'token=%zz' });
    assert.equal(broken.status, 400);
  });
});

describe('issuers of identity tokens', { timeout: 60_000 }, () => {
  const folders: string[] = [];
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });
  const open = (...oidc: Record<string, unknown>[]): Promise<Served> =>
    serveRegistry({
      http: { auth: { bearer: { oidc: oidc.map((one) => ({ audiences: ['zot'], ...one })) } } },
    });
  const statusOf = async (registry: Served, token: string): Promise<number> =>
    (await registry.request('GET', '/v2/', { headers: bearer(token) })).status;

  test('may be down at the start, and while their keys are known', async () => {
    const issuer = await startIssuer();
    const token = await issuer.token();
    const later = await issuer.token({ sub: 'later' });
    const registry = await open({ issuer: issuer.url });
    assert.equal(issuer.requests.length, 0, 'nobody asks before a token comes');
    assert.equal(await statusOf(registry, token), 200);
    await issuer.close();
    assert.equal(await statusOf(registry, later), 200);
    await registry.close();
    const unlucky = await open({ issuer: issuer.url });
    assert.equal(await statusOf(unlucky, token), 401);
    await unlucky.close();
  });

  test('must name themselves, unless the check is off, and keep their keys as safe as their document', async () => {
    const issuer = await startIssuer();
    issuer.named = 'https://public.example';
    const token = await issuer.token({ iss: issuer.named });
    const strict = await open({ issuer: issuer.url });
    const lax = await open({ issuer: issuer.url, skipIssuerVerification: true });
    assert.equal(await statusOf(strict, token), 401);
    assert.equal(await statusOf(strict, await issuer.token()), 401);
    assert.equal(await statusOf(lax, token), 200);
    issuer.named = null;
    issuer.jwksUri = 'file:///etc/passwd';
    const other = await open({ issuer: issuer.url });
    assert.equal(await statusOf(other, await issuer.token()), 401);
    await Promise.all([strict.close(), lax.close(), other.close(), issuer.close()]);
  });

  test('prove themselves by the authorities of the configuration', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'zot-issuer-'));
    folders.push(folder);
    const certificates = await makeCertificates(folder);
    const issuer = await startIssuer(certificates);
    const pem = await readFile(certificates.caFile, 'utf8');
    const token = await issuer.token();
    const untrusted = await open({ issuer: issuer.url });
    const byFile = await open({ issuer: issuer.url, certificateAuthorityFile: certificates.caFile });
    const inline = await open({ issuer: issuer.url, certificateAuthority: pem });
    assert.equal(await statusOf(untrusted, token), 401);
    assert.equal(await statusOf(byFile, token), 200);
    assert.equal(await statusOf(inline, token), 200);
    await Promise.all([untrusted.close(), byFile.close(), inline.close(), issuer.close()]);
  });
});
