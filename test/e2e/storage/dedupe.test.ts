/** The switch `dedupe` of a running server: pushes follow it at once, and what is stored follows in the background. */
import assert from 'node:assert/strict';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { zotJson } from '../../support/run-zot.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { contentOf } from '../support/content.ts';
import type { Content } from '../support/content.ts';

const PATIENCE_MS = 30_000;
const REPOS = Array.from({ length: 6 }, (_, at) => `team/r${at}`);
const shared = contentOf('the same bytes in all repositories '.repeat(500), 'application/octet-stream');

const until = (what: string, holds: () => Promise<boolean> | boolean): Promise<number> =>
  eventually(holds, PATIENCE_MS, what);

async function push(server: RunningServer, repo: string, { digest, bytes }: Content): Promise<void> {
  const target = `${server.url}/v2/${repo}/blobs/uploads/?digest=${digest}`;
  const headers = { 'content-type': 'application/octet-stream' };
  const answer = await fetch(target, { method: 'POST', headers, body: Buffer.from(bytes) });
  assert.equal(answer.status, 201, await answer.text());
}

/** How many files hold the shared blob. */
async function files(server: RunningServer): Promise<number> {
  const found = REPOS.map((repo) => stat(path.join(server.root, repo, 'blobs', ...shared.digest.split(':'))));
  return new Set((await Promise.all(found)).map(({ ino }) => ino)).size;
}

async function switchTo(server: RunningServer, dedupe: boolean): Promise<void> {
  const config = JSON.parse(await readFile(server.configFile, 'utf8')) as { storage: object };
  config.storage = { ...config.storage, dedupe };
  await writeFile(`${server.configFile}.new`, JSON.stringify(config));
  await rename(`${server.configFile}.new`, server.configFile);
}

const passes = (server: RunningServer): number =>
  server.stdout().split('"message":"no digests left, finished"').length - 1;

async function jobs(server: RunningServer): Promise<{ name: string; state: string }[]> {
  const shown = await zotJson<{ jobs: { name: string; state: string }[] }>('tasks', server.configFile);
  return shown.jobs;
}

for (const workers of [1, 2]) {
  describe(`dedupe that is switched, with ${workers} serving`, { timeout: 120_000 }, () => {
    test('on, off and on again, while pushes go on', async () => {
      const server = await startServer({ config: { storage: { dedupe: false }, http: { workers } } });
      try {
        for (const repo of REPOS) await push(server, repo, shared);
        assert.equal(await files(server), REPOS.length);
        let count = 0;
        let pushing = true;
        const others = (async () => {
          for (; pushing; count += 1) {
            const own = contentOf(`push ${count % 20}`, 'application/octet-stream');
            for (const content of [own, shared])
              await push(server, REPOS[count % REPOS.length] ?? '', content);
            // A client, not a flood: background work gives way to those.
            await delay(10);
          }
        })();
        others.catch(() => undefined);
        for (const [dedupe, expected] of [
          [true, 1],
          [false, REPOS.length],
          [true, 1],
        ] as const) {
          const before = passes(server);
          await switchTo(server, dedupe);
          await until(`a pass with dedupe ${dedupe}`, () => passes(server) > before);
          await until(`${expected} files`, async () => (await files(server)) === expected);
        }
        pushing = false;
        await others;
        assert.ok(count > 0);
        assert.ok((await jobs(server)).some(({ name }) => name === 'dedupe'));
        for (const repo of REPOS) {
          const answer = await fetch(`${server.url}/v2/${repo}/blobs/${shared.digest}`);
          assert.deepEqual(Buffer.from(await answer.arrayBuffer()), Buffer.from(shared.bytes));
        }
      } finally {
        await server.stop();
      }
    });
  });
}
