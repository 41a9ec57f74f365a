/** Every configuration of this folder is started as it is, but for paths, ports and addresses, and lets people in. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { parse } from 'yaml';
import { CookieJar, locationOf, signInAtProvider } from '../../test/e2e/access/cookie-jar.ts';
import { CLIENT, startIdentityProvider } from '../../test/e2e/access/identity-provider.ts';
import { startIssuer } from '../../test/e2e/access/issuer.ts';
import { entry, nowSeconds, sign, signingKey } from '../../test/e2e/access/token-server.ts';
import { startServer } from '../../test/support/server.ts';
import type { RunningServer } from '../../test/support/server.ts';
import { makeCertificates } from '../../test/support/tls.ts';

const here = import.meta.dirname;
const folder = mkdtempSync(path.join(tmpdir(), 'zot-tokens-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string): string => path.join(folder, name);

/** Starts an example with other texts in it: addresses of servers that a test has. */
async function withServer(
  file: string,
  replaced: Readonly<Record<string, string>>,
  work: (server: RunningServer) => Promise<void>,
): Promise<void> {
  let text = readFileSync(path.join(here, file), 'utf8').replaceAll('/etc/zot', folder);
  for (const [from, to] of Object.entries(replaced)) {
    assert.ok(text.includes(from), `${file} holds ${from}`);
    text = text.replaceAll(from, to);
  }
  const { address, port, ...http } = (parse(text) as { http: Record<string, unknown> }).http;
  assert.deepEqual([address, port], ['127.0.0.1', 5000], 'an example listens where nobody else reaches it');
  const server = await startServer({ config: { http } });
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

async function ask(url: string, authorization: string, method = 'GET'): Promise<Response> {
  return await fetch(url, { method, headers: { authorization }, signal: AbortSignal.timeout(15_000) });
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

describe('examples/tokens', { timeout: 180_000 }, () => {
  test('the documentation shows each of them as it is', () => {
    const pages = readdirSync(path.join(here, '../../docs')).filter((name) => name.startsWith('access-'));
    const texts = pages.map((name) => readFileSync(path.join(here, '../../docs', name), 'utf8')).join('\n');
    for (const file of readdirSync(here).filter((name) => name.endsWith('.yaml'))) {
      assert.ok(texts.includes(readFileSync(path.join(here, file), 'utf8')), file);
    }
  });

  test('bearer.yaml', async () => {
    const key = signingKey('RS256');
    writeFileSync(inFolder('token-server.pem'), key.publicPem);
    await withServer('bearer.yaml', {}, async ({ url }) => {
      const claims = { iss: 'auth.example.com', aud: 'registry.example.com', exp: nowSeconds() + 60 };
      const token = `Bearer ${await sign(key, { ...claims, access: [entry('team/app', 'push')] })}`;
      assert.equal((await ask(`${url}/v2/team/app/blobs/uploads/`, token, 'POST')).status, 202);
      const refused = await ask(`${url}/v2/team/other/blobs/uploads/`, token, 'POST');
      const parts = [
        'Bearer realm="https://auth.example.com/token"',
        'service="registry.example.com"',
        'scope="repository:team/other:pull,push"',
      ];
      assert.equal(refused.headers.get('www-authenticate'), parts.join(','));
    });
  });

  test('bearer-aws.yaml', async () => {
    await withServer('bearer-aws.yaml', {}, async ({ url }) => {
      const answer = await fetch(`${url}/v2/`);
      assert.equal(answer.status, 401);
      assert.match(
        answer.headers.get('www-authenticate') ?? '',
        /^Bearer realm="https:\/\/auth\.example\.com\/token"/,
      );
    });
  });

  test('oidc-workload.yaml', async () => {
    const { caFile } = await makeCertificates(folder);
    copyFileSync(caFile, inFolder('cluster-ca.pem'));
    const issuer = await startIssuer();
    const replaced = { 'https://token.actions.githubusercontent.com': issuer.url };
    await withServer('oidc-workload.yaml', replaced, async ({ url }) => {
      const job = { aud: 'registry.example.com', repository: 'acme/app', repository_owner: 'acme' };
      const push = async (claims: Record<string, unknown>): Promise<Response> =>
        ask(`${url}/v2/acme/app/blobs/uploads/`, `Bearer ${await issuer.token(claims)}`, 'POST');
      assert.equal((await push({ ...job, ref: 'refs/heads/main' })).status, 202);
      const side = await push({ ...job, ref: 'refs/heads/side' });
      assert.equal(side.status, 403);
      assert.match(await side.text(), /only jobs of the main branch push/);
      assert.equal((await push({ ...job, repository_owner: 'other', ref: 'refs/heads/main' })).status, 401);
      const token = await issuer.token({ ...job, ref: 'refs/heads/main' });
      const exchanged = await ask(`${url}/zot/auth/token`, basic('job', token));
      assert.equal(((await exchanged.json()) as { token: string }).token, token);
    });
    await issuer.close();
  });

  test('token-endpoint.yaml', async () => {
    writeFileSync(
      inFolder('htpasswd'),
      ['alice', 'bob'].map((user) => `${user}:${hashSync(user, 4)}\n`).join(''),
    );
    await withServer('token-endpoint.yaml', {}, async ({ url }) => {
      const scope = 'scope=repository:team/app:pull,push';
      const tokenOf = async (user: string): Promise<string> => {
        const answer = await ask(`${url}/zot/auth/token?service=zot&${scope}`, basic(user, user));
        return `Bearer ${((await answer.json()) as { token: string }).token}`;
      };
      const uploads = `${url}/v2/team/app/blobs/uploads/`;
      assert.equal((await ask(uploads, await tokenOf('alice'), 'POST')).status, 202);
      assert.equal((await ask(uploads, await tokenOf('bob'), 'POST')).status, 403);
    });
  });

  test('openid.yaml', async () => {
    const provider = await startIdentityProvider();
    const { clientid, clientsecret } = CLIENT;
    writeFileSync(
      inFolder('openid-credentials.yaml'),
      `clientid: ${clientid}\nclientsecret: ${clientsecret}\n`,
    );
    provider.claims.set('amy', {
      preferred_username: 'amy',
      email: 'amy@example.com',
      groups: ['developers'],
    });
    const replaced = { 'https://id.example.com': provider.url };
    await withServer('openid.yaml', replaced, async ({ url }) => {
      // The browser would come back to the external address, where a proxy stands in front of us.
      provider.serve('https://registry.example.com');
      const jar = new CookieJar();
      const start = `${url}/zot/auth/login?provider=oidc&callback_ui=https://ui.example.com/home`;
      const returned = await signInAtProvider(jar, start, 'amy');
      assert.equal(returned.origin, 'https://registry.example.com');
      const back = await jar.fetch(`${url}${returned.pathname}${returned.search}`);
      assert.equal(back.headers.get('location'), 'https://ui.example.com/home');
      assert.equal(jar.value('user'), 'amy');
    });
    await provider.close();
  });

  test('github.yaml', async () => {
    writeFileSync(inFolder('openid-credentials.yaml'), 'clientid: octo\nclientsecret: cat\n');
    await withServer('github.yaml', {}, async ({ url }) => {
      const start = `${url}/zot/auth/login?provider=github`;
      const there = await locationOf(await new CookieJar().fetch(start), start);
      assert.equal(`${there.origin}${there.pathname}`, 'https://github.example.com/login/oauth/authorize');
      assert.equal(
        there.searchParams.get('redirect_uri'),
        'https://registry.example.com/zot/auth/callback/github',
      );
    });
  });
});
