/**
 * R16: a start on folders of any size, with damage in them, and after a kill during the first look at the storage. The
 * server says that it is ready only when its answers are right.
 */
import assert from 'node:assert/strict';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startProcess } from '../support/process.ts';
import { projectRoot, startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { RegistryClient } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { remarks } from './support/server-processes.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';
import { sampleOf, writeRepository } from './support/written-layout.ts';
import type { WrittenRepository } from './support/written-layout.ts';

const ROUNDS = roundsOr(1);
const READY_TIMEOUT_MS = 30_000;
const DAMAGED_EVERY = 100;

let large = '';
let repositories: WrittenRepository[] = [];
before(async () => {
  large = await mkdtemp(join(tmpdir(), 'zot-start-up-'));
  repositories = await writeMany(large);
});
after(async () => {
  await rm(large, { recursive: true, force: true });
});

/** 2,000 manifests: half in one repository, half in many. */
async function writeMany(root: string): Promise<WrittenRepository[]> {
  const written = [
    await writeRepository(root, 'large/one', { manifests: 1000, damagedEvery: DAMAGED_EVERY }),
  ];
  for (let at = 0; at < 100; at += 1) {
    const damagedEvery = at % 10 === 0 ? 10 : 0;
    written.push(await writeRepository(root, `many/app-${at}`, { manifests: 10, damagedEvery }));
  }
  return written;
}

/** Asks until the server says that it is ready; gives how often it said that it is not. */
async function untilReady(client: RegistryClient): Promise<number> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (let refusals = 0; ; refusals += 1) {
    const { status, body } = await client.send('GET', '/readyz');
    if (status === 200) return refusals;
    assert.equal(status, 503, body.toString());
    assert.ok(performance.now() < deadlineMs, `not ready in time: ${body.toString()}`);
    await pause(5);
  }
}

/** What is wrong with the answers about repositories: all are listed, all tags, and a sample of the manifests. */
async function wrongAnswers(
  client: RegistryClient,
  expected: readonly WrittenRepository[],
): Promise<string[]> {
  const faults: string[] = [];
  const catalog = await client.send('GET', '/v2/_catalog');
  const listed = (JSON.parse(catalog.body.toString()) as { repositories: string[] }).repositories;
  const names = expected.map(({ name }) => name).toSorted();
  if (listed.join() !== names.join())
    faults.push(`the catalog has ${listed.length} of ${names.length} repositories`);
  for (const repository of expected) {
    const answer = await client.send('GET', `/v2/${repository.name}/tags/list`);
    const { tags = [] } = JSON.parse(answer.body.toString()) as { tags?: string[] };
    if (tags.length !== repository.tags.size) faults.push(`${repository.name} lists ${tags.length} tags`);
    for (const [at, [tag, { image, damaged }]] of [...repository.tags].entries()) {
      if (!damaged && at !== sampleOf(repository.name, repository.tags.size)) continue;
      const pulled = await client.send('GET', `/v2/${repository.name}/manifests/${tag}`);
      const isNamed = pulled.status === 404 && pulled.body.includes('"reason":"damaged"');
      const right = damaged ? isNamed : pulled.body.equals(image.manifest.bytes);
      if (!right) faults.push(`${repository.name}:${tag} is answered with ${pulled.status}`);
    }
  }
  return faults;
}

async function judge(server: RunningServer, expected: readonly WrittenRepository[]): Promise<number> {
  const client = new RegistryClient(server.url);
  try {
    const refusals = await untilReady(client);
    assert.deepEqual(await wrongAnswers(client, expected), [], remarks(server.stdout()));
    return refusals;
  } finally {
    client.close();
  }
}

describe('a start', { timeout: timeoutFor(ROUNDS * 2, 20_000) }, () => {
  for (const manifests of [0, 1]) {
    test(`is ready at once with ${manifests} manifests`, async () => {
      const server = await startServer();
      await server.stop();
      const root = await mkdtemp(join(tmpdir(), 'zot-start-up-'));
      const expected =
        manifests === 0 ? [] : [await writeRepository(root, 'one', { manifests, damagedEvery: 0 })];
      const second = await startServer({ root });
      try {
        assert.equal(await judge(second, expected), 0);
      } finally {
        await second.stop();
        await rm(root, { recursive: true, force: true });
      }
    });
  }

  test('with 2,000 manifests, some damaged, serves all others and names the damage', async (context) => {
    const startedMs = performance.now();
    const server = await startServer({ root: large });
    try {
      await judge(server, repositories);
      context.diagnostic(`ready and looked through after ${Math.round(performance.now() - startedMs)} ms`);
      const [damaged] = [...(repositories[0]?.tags.values() ?? [])].filter((entry) => entry.damaged);
      assert.match(server.stdout(), new RegExp(`large/one.*${damaged?.image.manifest.digest}.*damaged`));
    } finally {
      await server.stop();
    }
    const again = await startServer({ root: large });
    try {
      await judge(again, repositories);
    } finally {
      await again.stop();
    }
  });

  for (const workers of [1, 2]) {
    test(`is right after kills during the first look at the storage: workers ${workers}`, async (context) => {
      const random = new SeededRandom(seed * 10 + workers);
      let refusals = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        await rm(join(large, '_zot'), { recursive: true, force: true });
        await startAndKill(workers, random.below(250));
        const server = await startServer({ root: large, config: { http: { workers } } });
        try {
          refusals += await judge(server, repositories);
        } finally {
          await server.kill();
          await server.stop();
        }
      }
      context.diagnostic(`asked ${refusals} times before it was ready`);
    });
  }
});

/** Starts a server on the large folder, and kills it a while after it began to look at it. */
async function startAndKill(workers: number, afterMs: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'zot-start-up-'));
  const configFile = join(folder, 'config.json');
  const http = { address: '127.0.0.1', port: '0', workers };
  await writeFile(configFile, JSON.stringify({ storage: { rootDirectory: large }, http }));
  const command = [process.execPath, join(projectRoot, 'src/bin/zot.ts'), 'serve', configFile];
  const running = startProcess({ command, cwd: folder, env: {} });
  // The look begins as soon as the index is there.
  await retry(() => access(join(large, '_zot/index.db')), READY_TIMEOUT_MS);
  await pause(afterMs);
  await running.kill();
  await rm(folder, { recursive: true, force: true });
}
