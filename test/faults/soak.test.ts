/**
 * R21: everyday load with collection and scrub at work, for as long as one likes. What the server holds (memory,
 * descriptors, files) and how long pulls take must be at the end what it was in the beginning, and what clients no
 * longer need must be gone soon after they stop. `npm run faults -- --only soak --rounds 300` works for an hour or
 * two, 21600 for more than three days.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { startServer, type RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { readLayouts } from './support/layout-truth.ts';
import { RegistryClient } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { openFiles, residentBytes, serverProcesses } from './support/server-processes.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';
import { SoakingClient } from './support/soaking-client.ts';

/** A round has three windows; the beginning is compared with the end. */
const WINDOWS = 3 * roundsOr(1);
const WINDOW_MS = 2500;
const CLIENTS = 6;
const REPOS = ['soak/a', 'soak/b', 'soak/nested/c'];
const MEBIBYTE = 1024 * 1024;
/** What caches and the collector of garbage in memory may make of the same load. */
const MEMORY_GROWTH_BYTES = 96 * MEBIBYTE;
const FILES_GROWTH = 8;
/** A machine that does something else meanwhile must not look like a server that gets slower. */
const SLOWER_MAX = 5;
const SLOWER_MS = 250;
const CLEAN_TIMEOUT_MS = 120_000;

interface Sample {
  readonly memoryBytes: number;
  readonly descriptors: number;
  /** Files on the disk, of whatever kind. */
  readonly files: number;
  readonly pullP99Ms: number;
}

async function sampleOf(server: RunningServer, clients: readonly SoakingClient[]): Promise<Sample> {
  const { keeper, workers } = await serverProcesses(server.pid);
  const pids = [server.pid, ...(keeper === null ? [] : [keeper]), ...workers];
  const [memory, descriptors] = await Promise.all([
    Promise.all(pids.map(residentBytes)),
    Promise.all(pids.map(openFiles)),
  ]);
  const pullsMs = clients.flatMap((client) => client.pullsMs.splice(0)).toSorted((a, b) => a - b);
  return {
    memoryBytes: sum(memory),
    descriptors: sum(descriptors),
    files: (await readdir(server.root, { recursive: true })).length,
    pullP99Ms: pullsMs[Math.floor(pullsMs.length * 0.99)] ?? 0,
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

function median(samples: readonly Sample[], of: (sample: Sample) => number): number {
  return samples.map(of).toSorted((a, b) => a - b)[samples.length >> 1] ?? 0;
}

describe(
  'a server that works on and on',
  { timeout: timeoutFor(WINDOWS, 4 * WINDOW_MS) + CLEAN_TIMEOUT_MS },
  () => {
    test('holds no more, and is no slower, in the end than in the beginning', async (context) => {
      const storage = { gc: true, gcDelay: '3s', gcInterval: '1s' };
      const extensions = { scrub: { enable: true } };
      const server = await startServer({ config: { http: { workers: 2 }, storage, extensions } });
      const random = new SeededRandom(seed);
      const connections = Array.from(
        { length: CLIENTS },
        (_, at) => new RegistryClient(server.url, { keepAlive: at % 2 === 0 }),
      );
      const clients = connections.map(
        (client, at) =>
          new SoakingClient(
            client,
            REPOS[at % REPOS.length] ?? '',
            `c${at}`,
            new SeededRandom(random.below(2 ** 30)),
          ),
      );
      try {
        // Until everything has happened once, and collection has begun to take as much away as comes.
        await Promise.all(clients.map((client) => client.work(2 * WINDOW_MS)));
        await sampleOf(server, clients);
        const samples: Sample[] = [];
        while (samples.length < WINDOWS) {
          await Promise.all(clients.map((client) => client.work(WINDOW_MS)));
          samples.push(await sampleOf(server, clients));
        }
        context.diagnostic(describeRun(samples, sum(clients.map(({ operations }) => operations))));
        requireSteady(samples);
        await retry(() => requireClean(server, clients), CLEAN_TIMEOUT_MS);
      } finally {
        for (const client of connections) client.close();
        await server.kill();
        await server.stop();
      }
    });
  },
);

function requireSteady(samples: readonly Sample[]): void {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const growth = (of: (sample: Sample) => number): readonly [number, number] => [
    median(samples.slice(0, third), of),
    median(samples.slice(-third), of),
  ];
  const [memoryBefore, memoryAfter] = growth(({ memoryBytes }) => memoryBytes);
  assert.ok(memoryAfter - memoryBefore < MEMORY_GROWTH_BYTES, `memory ${memoryBefore} -> ${memoryAfter}`);
  const [openBefore, openAfter] = growth(({ descriptors }) => descriptors);
  assert.ok(openAfter - openBefore <= FILES_GROWTH, `descriptors ${openBefore} -> ${openAfter}`);
  const [filesBefore, filesAfter] = growth(({ files }) => files);
  // Between two sweeps files come and go; a leak grows with the number of windows.
  assert.ok(filesAfter < 2 * filesBefore + 100, `files ${filesBefore} -> ${filesAfter}`);
  const [pullBefore, pullAfter] = growth(({ pullP99Ms }) => pullP99Ms);
  assert.ok(pullAfter < SLOWER_MAX * pullBefore + SLOWER_MS, `p99 of pulls ${pullBefore} -> ${pullAfter} ms`);
}

/** Nothing is left but what tags name: no upload, no blob, no manifest. */
async function requireClean(server: RunningServer, clients: readonly SoakingClient[]): Promise<void> {
  const { uploads, faults } = await readLayouts(server.root);
  assert.deepEqual(uploads, []);
  assert.deepEqual(faults, []);
  const needed = REPOS.map((repo) => [repo, new Set<string>()] as const);
  for (const [at, client] of clients.entries()) {
    const digests = needed[at % REPOS.length]?.[1];
    for (const { manifest, blobs } of client.images)
      for (const { digest } of [manifest, ...blobs]) digests?.add(digest.replace('sha256:', ''));
  }
  for (const [repo, digests] of needed) {
    const held = await readdir(`${server.root}/${repo}/blobs/sha256`);
    assert.deepEqual(held.toSorted(), [...digests].toSorted(), `${repo} holds what nobody needs`);
  }
}

function describeRun(samples: readonly Sample[], operations: number): string {
  const shown = (sample: Sample | undefined): string => {
    if (sample === undefined) return 'nothing';
    const { memoryBytes, descriptors, files, pullP99Ms } = sample;
    const held = `${Math.round(memoryBytes / MEBIBYTE)} MiB, ${descriptors} descriptors, ${files} files`;
    return `${held}, p99 ${pullP99Ms.toFixed(1)} ms`;
  };
  return `${operations} operations; first: ${shown(samples[0])}; last: ${shown(samples.at(-1))}`;
}
