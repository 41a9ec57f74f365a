/** Every configuration of this folder is started as it is, but for its paths and its port, and does what it says. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { parse } from 'yaml';
import { startServer } from '../../test/support/server.ts';
import type { RunningServer } from '../../test/support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-examples-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const USERS = ['alice', 'bob', 'carol', 'ci', 'root'];
const EMPTY = { digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', size: 2 };
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

writeFileSync(path.join(folder, 'htpasswd'), USERS.map((user) => `${user}:${hashSync(user, 4)}\n`).join(''));

async function serve(file: string): Promise<RunningServer> {
  const text = readFileSync(path.join(import.meta.dirname, file), 'utf8');
  const config = parse(text.replaceAll('/etc/zot', folder)) as {
    storage: object;
    http: Record<string, unknown>;
  };
  const { address, port, ...http } = config.http;
  assert.deepEqual([address, port], ['127.0.0.1', 5000], 'an example listens where nobody else reaches it');
  return startServer({ config: { http } });
}

interface Call {
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

interface Client {
  push(repo: string, tag: string): Promise<number>;
  pull(repo: string, tag: string): Promise<number>;
  request(method: string, target: string, init?: Call): Promise<Response>;
}

function clientOf(server: RunningServer, user: string | null): Client {
  const headers: Record<string, string> =
    user === null ? {} : { authorization: `Basic ${Buffer.from(`${user}:${user}`).toString('base64')}` };
  const request = (method: string, target: string, init: Call = {}): Promise<Response> =>
    fetch(server.url + target, { method, ...init, headers: { ...headers, ...init.headers } });
  return {
    request,
    pull: async (repo, tag) => (await request('GET', `/v2/${repo}/manifests/${tag}`)).status,
    push: async (repo, tag) => {
      const blob = await request('POST', `/v2/${repo}/blobs/uploads/?digest=${EMPTY.digest}`, {
        body: '{}',
        headers: { 'content-type': 'application/octet-stream' },
      });
      if (blob.status !== 201) return blob.status;
      const descriptor = { ...EMPTY, mediaType: EMPTY_TYPE };
      const manifest = {
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        config: descriptor,
        layers: [descriptor],
      };
      const body = JSON.stringify({ ...manifest, annotations: { tag, at: String(performance.now()) } });
      const put = { body, headers: { 'content-type': MANIFEST_TYPE } };
      return (await request('PUT', `/v2/${repo}/manifests/${tag}`, put)).status;
    },
  };
}

const CHECKS: Readonly<Record<string, (as: (user: string | null) => Client) => Promise<void>>> = {
  'policies.yaml': async (as) => {
    assert.equal(await as(null).pull('team/app', 'v1'), 401);
    assert.equal(await as('bob').push('team/app', 'v1'), 201);
    assert.equal(await as('bob').push('team/app', 'v1'), 403);
    assert.equal(await as('alice').push('team/app', 'v1'), 201);
    assert.equal(await as('carol').pull('team/app', 'v1'), 200);
    assert.equal(await as('carol').push('team/app', 'v2'), 403);
    assert.equal(await as('bob').push('other/app', 'v1'), 403);
    assert.equal(await as('root').push('other/app', 'v1'), 201);
    assert.equal(await as('bob').pull('other/app', 'v1'), 200);
  },
  'public-pull.yaml': async (as) => {
    assert.equal(await as('bob').push('public/base', 'v1'), 201);
    assert.equal(await as(null).pull('public/base', 'v1'), 200);
    assert.equal(await as('bob').pull('public/base', 'v1'), 200);
    assert.equal(await as(null).push('public/base', 'v2'), 401);
    assert.equal(await as('alice').push('private/app', 'v1'), 201);
    assert.equal(await as(null).pull('private/app', 'v1'), 401);
    assert.equal(await as('bob').pull('private/app', 'v1'), 403);
    const catalog = await as(null).request('GET', '/v2/_catalog');
    assert.deepEqual(await catalog.json(), { repositories: ['public/base'] });
  },
  'anonymous-only.yaml': async (as) => {
    assert.equal(await as(null).pull('mirror/app', 'v1'), 404);
    assert.equal(await as(null).push('mirror/app', 'v1'), 401);
  },
  'conditions.yaml': async (as) => {
    assert.equal(await as('ci').push('release/app', 'v1.2'), 201);
    assert.equal(await as('ci').push('release/app', 'nightly'), 403);
    const refused = await as('ci').request('PUT', '/v2/release/app/manifests/nightly', { body: '{}' });
    assert.match(await refused.text(), /tags of releases are written v1\.2/);
    const day = new Date().toLocaleDateString('en', { timeZone: 'Europe/Berlin', weekday: 'short' });
    const expected = day === 'Sat' || day === 'Sun' ? 403 : 202;
    assert.equal((await as('alice').request('DELETE', '/v2/release/app/manifests/v1.2')).status, expected);
  },
};

test('every configuration has a check', () => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'));
  assert.deepEqual(Object.keys(CHECKS).toSorted(), files.toSorted());
});

for (const [file, check] of Object.entries(CHECKS)) {
  test(`${file} starts and does what it says`, async () => {
    const server = await serve(file);
    try {
      await check((user) => clientOf(server, user));
    } finally {
      await server.stop();
    }
  });
}
