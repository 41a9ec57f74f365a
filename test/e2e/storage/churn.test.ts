/** Moving tags: what their images leave behind goes while the pushes go on, and no backlog stays. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { eventually, retry } from '../../support/eventually.ts';
import { runZot } from '../../support/run-zot.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { imageOf } from '../support/content.ts';
import type { Content, Image } from '../support/content.ts';

const REPOS = ['ci/api', 'ci/web', 'ci/worker'];
const PUSHES = 100;
const WAIT_MAX_MS = 60_000;

const filesOf = ({ config, layers, manifest }: Image): string[] =>
  [config, ...layers, manifest].map(({ digest }) => digest.slice('sha256:'.length)).toSorted();

async function push(server: RunningServer, repo: string, { config, layers, manifest }: Image): Promise<void> {
  const send = async (method: string, target: string, content: Content): Promise<void> => {
    const headers = { 'content-type': content.mediaType };
    const options = { method, headers, body: Buffer.from(content.bytes) };
    const answer = await fetch(`${server.url}/v2/${repo}/${target}`, options);
    assert.equal(answer.status, 201, await answer.text());
  };
  for (const blob of [config, ...layers]) {
    const upload = { ...blob, mediaType: 'application/octet-stream' };
    await send('POST', `blobs/uploads/?digest=${blob.digest}`, upload);
  }
  await send('PUT', 'manifests/latest', manifest);
}

for (const workers of [1, 2]) {
  test(
    `the images that moving tags leave are all collected, with ${workers} serving`,
    { timeout: 150_000 },
    async () => {
      const root = await mkdtemp(path.join(tmpdir(), 'zot-churn-'));
      const storage = { gcDelay: '1s', gcInterval: '1s' };
      const server = await startServer({ root, config: { http: { workers }, storage } });
      const blobs = async (repo: string): Promise<string[]> =>
        (await readdir(path.join(root, repo, 'blobs/sha256'))).toSorted();
      const lastOf = (repo: string): Image => imageOf(`${repo} ${PUSHES - 1}`);
      try {
        await Promise.all(
          REPOS.map(async (repo) => {
            for (let at = 0; at < PUSHES; at += 1) await push(server, repo, imageOf(`${repo} ${at}`));
          }),
        );
        for (const repo of REPOS) {
          const isOnlyLast = async (): Promise<void> =>
            assert.deepEqual(await blobs(repo), filesOf(lastOf(repo)));
          await retry(isOnlyLast, WAIT_MAX_MS);
          for (const { digest } of lastOf(repo).layers)
            assert.equal((await fetch(`${server.url}/v2/${repo}/blobs/${digest}`)).status, 200);
          assert.equal((await fetch(`${server.url}/v2/${repo}/manifests/latest`)).status, 200);
        }
        const isNothingLeft = async (): Promise<boolean> =>
          / 0 tags, 0 manifests, 0 blobs/.test((await runZot('tasks', server.configFile)).text);
        await eventually(isNothingLeft, WAIT_MAX_MS, 'a round finds nothing to remove');
      } finally {
        await server.stop();
        await rm(root, { recursive: true, force: true });
      }
    },
  );
}
