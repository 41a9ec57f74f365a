/** Every configuration of this folder is started as it is, but for its paths and its port, and lets people in. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { parse } from 'yaml';
import { selfCommand } from '#lib/self-command';
import { TestAuthority } from '../../test/support/client-certificates.ts';
import { startServer } from '../../test/support/server.ts';
import type { RunningServer } from '../../test/support/server.ts';
import { SERVICE, skipWithoutSlapd, startSlapd } from '../../test/support/slapd.ts';
import { makeCertificates } from '../../test/support/tls.ts';

const here = import.meta.dirname;
const folder = mkdtempSync(path.join(tmpdir(), 'zot-sign-in-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const inFolder = (name: string): string => path.join(folder, name);

/** As the documentation says: `zot htpasswd add <file> <user> --stdin`. */
function addUser(user: string): void {
  const { file, args } = selfCommand();
  const words = ['htpasswd', 'add', inFolder('htpasswd'), user, '--stdin', '--cost', '4'];
  const { status, stderr } = spawnSync(file, [...args, ...words], {
    input: `${user}-secret\n`,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
}

addUser('alice');
addUser('bob');
copyFileSync(path.join(here, 'session-keys.yaml'), inFolder('session-keys.yaml'));

const withoutSlapd = await skipWithoutSlapd();

type Changes = Readonly<Record<string, unknown>>;

async function serve(file: string, changes: Changes = {}): Promise<RunningServer> {
  const text = readFileSync(path.join(here, file), 'utf8').replaceAll('/etc/zot', folder);
  const { address, port, ...http } = (parse(text) as { http: Record<string, unknown> }).http;
  assert.deepEqual([address, port], ['127.0.0.1', 5000], 'an example listens where nobody else reaches it');
  const auth = { ...(http['auth'] as object), ...changes };
  return startServer({ config: { http: { ...http, auth } } });
}

async function withServer(
  file: string,
  changes: Changes,
  work: (server: RunningServer) => Promise<void>,
): Promise<void> {
  const server = await serve(file, changes);
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

const as = (user: string, password = `${user}-secret`): { readonly authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

async function status(
  server: RunningServer,
  method: string,
  target: string,
  headers: Record<string, string>,
): Promise<number> {
  const answer = await fetch(server.url + target, { method, headers });
  await answer.arrayBuffer();
  return answer.status;
}

const UPLOAD = '/v2/team/app/blobs/uploads/';

describe('examples/sign-in', () => {
  test('the documentation shows each of them as it is', () => {
    const pages = readdirSync(path.join(here, '../../docs')).filter((name) => name.startsWith('access-'));
    const texts = pages.map((name) => readFileSync(path.join(here, '../../docs', name), 'utf8')).join('\n');
    for (const file of readdirSync(here).filter((name) => name.endsWith('.yaml'))) {
      assert.ok(texts.includes(readFileSync(path.join(here, file), 'utf8')), file);
    }
  });

  test('htpasswd.yaml', async () => {
    await withServer('htpasswd.yaml', {}, async (server) => {
      assert.equal(await status(server, 'POST', UPLOAD, as('alice')), 202);
      assert.equal(await status(server, 'POST', UPLOAD, as('bob')), 403);
      assert.equal(await status(server, 'GET', '/v2/team/app/tags/list', as('bob')), 404);
      assert.equal(await status(server, 'GET', '/v2/', {}), 401);
      assert.equal(await status(server, 'GET', '/v2/', as('bob', 'wrong')), 401);
    });
  });

  test('ldap.yaml', { skip: withoutSlapd }, async () => {
    const directory = await startSlapd(PEOPLE);
    try {
      copyFileSync(directory.caFile, inFolder('ldap-ca.crt'));
      const credentials = readFileSync(path.join(here, 'ldap-credentials.yaml'), 'utf8');
      assert.ok(credentials.includes(SERVICE.bindDN));
      writeFileSync(inFolder('ldap-credentials.yaml'), JSON.stringify(SERVICE));
      const text = readFileSync(path.join(here, 'ldap.yaml'), 'utf8').replaceAll('/etc/zot', folder);
      const { auth } = (parse(text) as { http: { auth: { ldap: object } } }).http;
      const ldap = { ...auth.ldap, address: '127.0.0.1', port: directory.tlsPort };
      await withServer('ldap.yaml', { ldap }, async (server) => {
        assert.equal(await status(server, 'POST', UPLOAD, as('dora')), 202, 'a developer');
        assert.equal(await status(server, 'POST', UPLOAD, as('walt')), 403, 'somebody else');
        assert.equal(await status(server, 'GET', '/v2/', as('walt')), 200);
        assert.equal(await status(server, 'GET', '/v2/', as('dora', 'wrong')), 401);
      });
    } finally {
      await directory.remove();
    }
  });

  test('api-keys.yaml', async () => {
    await withServer('api-keys.yaml', {}, async (server) => {
      const body =
        '{"label":"build server","scopes":["repository:team/**:pull,push"],"expirationDate":"2099-01-01T00:00:00Z"}';
      const made = await fetch(`${server.url}/zot/auth/apikey`, {
        method: 'POST',
        headers: as('alice'),
        body,
      });
      const { apiKey, uuid } = (await made.json()) as { apiKey: string; uuid: string };
      assert.equal(await status(server, 'POST', UPLOAD, as('alice', apiKey)), 202);
      assert.equal(await status(server, 'POST', '/v2/other/blobs/uploads/', as('alice', apiKey)), 403);
      assert.equal(await status(server, 'DELETE', `/zot/auth/apikey?id=${uuid}`, as('alice')), 200);
      assert.equal(await status(server, 'POST', UPLOAD, as('alice', apiKey)), 401);
    });
  });

  test('client-certificates.yaml', async () => {
    const { caFile, certFile, keyFile } = await makeCertificates(folder);
    assert.deepEqual([certFile, keyFile], [inFolder('server.crt'), inFolder('server.key')]);
    const authority = await TestAuthority.make(folder, 'clients');
    assert.equal(authority.caFile, inFolder('clients-ca.crt'));
    const builder = await authority.sign({
      subject: '/CN=x',
      alternativeNames: 'URI:spiffe://example.org/ns/ci/sa/builder',
    });
    const named = await authority.sign({ subject: '/CN=builder' });
    await withServer('client-certificates.yaml', {}, async (server) => {
      const ask = (
        client: { cert: string; key: string } | null,
        headers: Record<string, string> = {},
      ): Promise<number> =>
        new Promise((resolve, reject) => {
          const shown =
            client === null ? {} : { cert: readFileSync(client.cert), key: readFileSync(client.key) };
          const place = {
            host: '127.0.0.1',
            port: server.port,
            path: UPLOAD,
            method: 'POST',
            headers,
            agent: false as const,
          };
          const sent = request({ ...place, ca: readFileSync(caFile), ...shown }, (answer) => {
            answer.resume();
            answer.on('end', () => resolve(answer.statusCode ?? 0));
          });
          sent.on('error', reject);
          sent.end();
        });
      assert.equal(await ask(builder), 202);
      assert.equal(await ask(named), 202);
      assert.equal(await ask(null), 401);
      assert.equal(await ask(null, as('alice')), 403);
    });
  });

  test('sessions.yaml', async () => {
    await withServer('sessions.yaml', {}, async (server) => {
      const ui = { 'x-zot-api-client': 'zot-ui' };
      const signedIn = await fetch(`${server.url}/v2/`, { headers: { ...as('alice'), ...ui } });
      const [cookie = ''] = signedIn.headers.getSetCookie();
      assert.match(cookie, /^session=[^;]+; .*HttpOnly; Secure; SameSite=Lax$/);
      const session = { ...ui, cookie: cookie.split(';')[0] ?? '' };
      assert.equal(await status(server, 'GET', '/v2/', session), 200);
      assert.equal(await status(server, 'POST', '/zot/auth/logout', session), 200);
      assert.equal(await status(server, 'GET', '/v2/', session), 401);
    });
  });
});

/** Two people; the helper brings ou=people and the service account. */
const PEOPLE = ['dora', 'walt']
  .map((uid) =>
    [
      `dn: uid=${uid},ou=people,dc=example,dc=org`,
      'objectClass: inetOrgPerson',
      `cn: ${uid}`,
      `sn: ${uid}`,
      `uid: ${uid}`,
      `userPassword: ${uid}-secret`,
      ...(uid === 'dora' ? ['memberOf: cn=developers,ou=groups,dc=example,dc=org'] : []),
      '',
    ].join('\n'),
  )
  .join('\n');
