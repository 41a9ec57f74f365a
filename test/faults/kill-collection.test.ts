/**
 * R1 with collection at work: a server that sweeps all the time is killed at random moments while clients replace and
 * delete their images. After each start everything that a tag is known to name is there, byte by byte, and no damage
 * is found.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startServer, type RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { NoAnswer, RegistryClient } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';
import { SoakingClient } from './support/soaking-client.ts';
import { checkFolder } from './support/zot-check.ts';

const ROUNDS = roundsOr(2);
const CLIENTS = 6;
const REPOS = ['killed/a', 'killed/b'];
/** The kill comes so long, at most, after the first blob of a round was removed. */
const AFTER_REMOVAL_MS = 800;
const REMOVAL_TIMEOUT_MS = 90_000;
const FOREVER_MS = 600_000;

async function workUntilKilled(
  clients: readonly SoakingClient[],
  server: RunningServer,
  afterMs: number,
): Promise<void> {
  const working = clients.map((client) => client.work(FOREVER_MS));
  // A client that sees something wrong ends the round at once.
  const first = Promise.race(working);
  await Promise.race([untilRemoval(server).then(() => pause(afterMs)), first]);
  await server.kill();
  for (const outcome of await Promise.allSettled(working))
    if (outcome.status === 'rejected' && !(outcome.reason instanceof NoAnswer)) throw outcome.reason;
}

async function untilRemoval(server: RunningServer): Promise<void> {
  const removed = async (): Promise<void> => assert.ok(server.stdout().includes('"blob removed"'));
  await retry(removed, REMOVAL_TIMEOUT_MS);
}

describe('after kill -9 of a server that collects garbage', { timeout: timeoutFor(ROUNDS, 150_000) }, () => {
  test('all that tags name is there, and nothing is damaged', async (context) => {
    const root = await mkdtemp(join(tmpdir(), 'zot-kill-collection-'));
    const random = new SeededRandom(seed);
    const storage = { gc: true, gcDelay: '2s', gcInterval: '1s' };
    const start = (): Promise<RunningServer> =>
      startServer({ root, config: { http: { workers: 2 }, storage, log: { level: 'debug' } } });
    let server = await start();
    let removed = 0;
    const clients = Array.from(
      { length: CLIENTS },
      (_, at) =>
        new SoakingClient(new RegistryClient(server.url), REPOS[at % REPOS.length] ?? '', `c${at}`, random),
    );
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        await workUntilKilled(clients, server, random.below(AFTER_REMOVAL_MS));
        removed += server.stdout().split('"blob removed"').length - 1;
        await server.stop();
        assert.deepEqual(await checkFolder(root), [], `round ${round} of seed ${seed}`);
        server = await start();
        for (const client of clients) await client.verify(new RegistryClient(server.url));
      }
      context.diagnostic(`${removed} blobs removed`);
    } finally {
      await server.kill();
      await server.stop();
      await rm(root, { recursive: true, force: true });
    }
  });
});
