/** Every configuration of this folder is started as it is, but for its paths and its port, and does what it says. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { parse } from 'yaml';
import { startServer } from '../../test/support/server.ts';
import type { RunningServer } from '../../test/support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-examples-'));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(path.join(folder, 'htpasswd'), `alice:${hashSync('alice', 4)}\n`);

type Section = Record<string, unknown>;

function sectionsOf(file: string): { http: Section; log?: Section } {
  const text = readFileSync(path.join(import.meta.dirname, file), 'utf8');
  const config = parse(text.replaceAll(/\/(?:etc|var\/log)\/zot/g, folder)) as {
    http: Section;
    log?: Section;
  };
  const { address, port, ...http } = config.http;
  assert.deepEqual([address, port], ['127.0.0.1', 5000], 'an example listens where nobody else reaches it');
  return config.log === undefined ? { http } : { http, log: config.log };
}

async function ask(
  server: RunningServer,
  method: string,
  target: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const answer = await fetch(server.url + target, { method, headers });
  await answer.arrayBuffer();
  return answer;
}

const alice = { authorization: `Basic ${Buffer.from('alice:alice').toString('base64')}` };

const TESTS: Record<string, () => Promise<void>> = {
  'limits.yaml': async () => {
    const server = await startServer({ config: sectionsOf('limits.yaml') });
    const from = (address: string): Record<string, string> => ({ ...alice, 'x-forwarded-for': address });
    const first = await ask(server, 'GET', '/v2/', from('203.0.113.1'));
    assert.equal(first.headers.get('ratelimit-limit'), '50');
    const statuses: number[] = [];
    for (let at = 0; at < 7; at += 1)
      statuses.push((await ask(server, 'DELETE', '/v2/a/manifests/x', from('203.0.113.1'))).status);
    assert.deepEqual(statuses.slice(0, 5), [404, 404, 404, 404, 404]);
    assert.ok(statuses.includes(429));
    assert.equal((await ask(server, 'DELETE', '/v2/a/manifests/x', from('203.0.113.2'))).status, 404);
    assert.equal(await server.stop(), 0);
  },
  'audit.yaml': async () => {
    const server = await startServer({
      config: { ...sectionsOf('audit.yaml'), log: { audit: `${folder}/audit.log` } },
    });
    await ask(server, 'POST', '/v2/a/blobs/uploads/', alice);
    await ask(server, 'DELETE', '/v2/a/manifests/x', alice);
    assert.equal(await server.stop(), 0);
    const lines = readFileSync(path.join(folder, 'audit.log'), 'utf8').trim().split('\n');
    const records = lines
      .map((line) => JSON.parse(line) as Section)
      .filter(({ status }) => status !== undefined);
    assert.deepEqual(
      records.map(({ subject, action, object, status }) => [subject, action, object, status]),
      [
        ['alice', 'POST', '/v2/a/blobs/uploads/', 202],
        ['alice', 'DELETE', '/v2/a/manifests/x', 403],
      ],
    );
  },
  'reload-before.yaml': async () => {
    const server = await startServer({ config: sectionsOf('reload-before.yaml') });
    assert.equal((await ask(server, 'GET', '/v2/a/tags/list')).status, 404);
    const written = JSON.parse(readFileSync(server.configFile, 'utf8')) as { http: Section };
    const next = { ...written, http: { ...written.http, ...sectionsOf('reload-after.yaml').http } };
    await writeFile(`${server.configFile}.new`, JSON.stringify(next));
    await rename(`${server.configFile}.new`, server.configFile);
    const deadlineMs = performance.now() + 20_000;
    while ((await ask(server, 'GET', '/v2/a/tags/list')).status !== 401) {
      assert.ok(performance.now() < deadlineMs, 'the policy is in force');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal((await ask(server, 'GET', '/v2/a/tags/list', alice)).status, 404);
    assert.equal((await ask(server, 'POST', '/v2/a/blobs/uploads/', alice)).status, 403);
    assert.equal(await server.stop(), 0);
  },
};

for (const [file, run] of Object.entries(TESTS))
  test(`examples/operations/${file}`, { timeout: 60_000 }, run);

test('every example of this folder is started by a test', () => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'));
  const started = [...Object.keys(TESTS), 'reload-after.yaml'];
  assert.deepEqual(files.toSorted(), started.toSorted());
});
