/**
 * R18: a copy of the folder that is taken while clients push and move tags, in the order that the documentation gives:
 * first what names content, then content. What is restored is sound and serves what it names; a copy of a folder that
 * nobody writes to is the folder, in whatever order it was taken.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startServer } from '../support/server.ts';
import { imageOf, randomContent } from './support/images.ts';
import { readLayouts } from './support/layout-truth.ts';
import { pushImage } from './support/pushing.ts';
import { RegistryClient } from './support/registry-client.ts';
import { answersOf, fillRepository } from './support/sample-folder.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';
import { checkFolder } from './support/zot-check.ts';

const ROUNDS = roundsOr(1);
const REPOS = ['library/app', 'team', 'team/nested'];
const NAMES = new Set(['index.json', 'oci-layout']);

/** The two steps of docs/reliability.md, "Backups". */
async function copyInOrder(from: string, to: string): Promise<void> {
  const isOurs = (path: string): boolean => path.includes('/_zot') || path.includes('/.uploads');
  await cp(from, to, {
    recursive: true,
    filter: async (path) => !isOurs(path) && (NAMES.has(basename(path)) || (await stat(path)).isDirectory()),
  });
  await cp(from, to, {
    recursive: true,
    filter: (path) => !isOurs(path) && !NAMES.has(basename(path)),
  });
}

describe('a copy of the folder', { timeout: timeoutFor(ROUNDS, 30_000) }, () => {
  test('taken in order while clients push and move tags is sound, and serves what it names', async (context) => {
    const server = await startServer({ config: { http: { workers: 2 }, storage: { commit: false } } });
    const random = new SeededRandom(seed);
    try {
      for (const repo of REPOS) await fillRepository(server.url, repo);
      for (let round = 0; round < ROUNDS; round += 1) {
        const stop = new AbortController();
        const pushing = Promise.all(
          REPOS.map((repo) => pushUntil(stop.signal, server.url, repo, random.below(2 ** 30))),
        );
        const copy = await mkdtemp(join(tmpdir(), 'zot-backup-'));
        try {
          await pause(100 + random.below(300));
          await copyInOrder(server.root, copy);
          stop.abort();
          const pushed = await pushing;
          const truth = await readLayouts(copy);
          assert.deepEqual(truth.faults, []);
          assert.deepEqual(await checkFolder(copy), []);
          await requireServed(copy, truth.tags);
          context.diagnostic(`${pushed.reduce((sum, count) => sum + count, 0)} images pushed meanwhile`);
        } finally {
          stop.abort();
          await pushing;
          await rm(copy, { recursive: true, force: true });
        }
      }
    } finally {
      await server.stop();
    }
  });

  test('taken in any order while clients only read is the folder', async () => {
    const server = await startServer();
    const copy = await mkdtemp(join(tmpdir(), 'zot-backup-'));
    try {
      const samples = [await fillRepository(server.url, 'library/app')];
      const expected = await answersOf(server.url, samples);
      const [copied] = await Promise.all([
        cp(server.root, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') }).then(
          () => 'copied',
        ),
        answersOf(server.url, samples),
      ]);
      assert.equal(copied, 'copied');
      assert.deepEqual(await checkFolder(copy), []);
      const restored = await startServer({ root: copy });
      assert.deepEqual(await answersOf(restored.url, samples), expected);
      await restored.stop();
    } finally {
      await server.stop();
      await rm(copy, { recursive: true, force: true });
    }
  });
});

/** Pushes images, each under a new tag and under one that moves; gives how many. */
async function pushUntil(stop: AbortSignal, url: string, repo: string, ownSeed: number): Promise<number> {
  const client = new RegistryClient(url);
  const random = new SeededRandom(ownSeed);
  let count = 0;
  for (; !stop.aborted; count += 1) {
    const image = imageOf([randomContent(random, 1 + random.below(20_000))], `${repo} ${ownSeed} ${count}`);
    await pushImage(client, repo, image, `t${ownSeed}-${count}`);
    await pushImage(client, repo, image, 'moving');
  }
  client.close();
  return count;
}

async function requireServed(
  root: string,
  tags: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Promise<void> {
  const server = await startServer({ root });
  const client = new RegistryClient(server.url);
  try {
    for (const [repo, named] of tags) {
      for (const [tag, digest] of named) {
        const answer = await client.send('GET', `/v2/${repo}/manifests/${tag}`);
        assert.equal(answer.headers['docker-content-digest'], digest, `${repo}:${tag}`);
      }
    }
  } finally {
    client.close();
    await server.stop();
  }
}
