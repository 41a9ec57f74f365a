/**
 * R1: the whole server, one serving process, or the keeper is killed with SIGKILL at random moments while eight
 * clients push, move, delete and read. After each kill the server is started on the same folder, and everything that
 * a client was told is looked at. Another reader watches every index.json all the time.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { Acknowledged } from './support/acknowledged.ts';
import { IndexWatcher } from './support/index-watcher.ts';
import { readLayouts } from './support/layout-truth.ts';
import { PushingClient } from './support/pushing-client.ts';
import type { Tally } from './support/pushing-client.ts';
import { RegistryClient } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { remarks, serverProcesses } from './support/server-processes.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';
import { checkFolder } from './support/zot-check.ts';

type Victim = 'server' | 'worker' | 'keeper';

interface Case {
  readonly workers: number;
  readonly commit: boolean;
  readonly victims: readonly Victim[];
  readonly rounds: number;
}

const CLIENTS = 8;
const REPOS = ['library/app', 'team', 'team/nested/app'];
/** A folder is used for this many rounds, so that a long run does not look at an ever longer history. */
const ROUNDS_PER_FOLDER = 8;
/** How long clients work before the kill, at most; and after it, at least, when the server is to go on. */
const BEFORE_MS = 600;
const AFTER_MS = 1000;
/** A process that was killed is back within this time, on a machine that does much else. */
const BACK_MS = 30_000;

const cases: readonly Case[] = [
  { workers: 1, commit: true, victims: ['server'], rounds: roundsOr(3) },
  { workers: 1, commit: false, victims: ['server'], rounds: roundsOr(2) },
  { workers: 2, commit: true, victims: ['worker', 'keeper', 'server'], rounds: roundsOr(3) },
  { workers: 2, commit: false, victims: ['keeper', 'worker', 'server'], rounds: roundsOr(1) },
];

/** A folder that servers are started on and killed, and what is known of it. */
class Scene {
  readonly root: string;
  readonly acknowledged = new Acknowledged();
  readonly done = new Map<string, number>();
  #case: Case;
  #random: SeededRandom;

  constructor(root: string, options: Case, random: SeededRandom) {
    this.root = root;
    this.#case = options;
    this.#random = random;
  }

  start(): Promise<RunningServer> {
    const { workers, commit } = this.#case;
    const config = { http: { workers }, storage: { commit } };
    return startServer({ root: this.root, config });
  }

  /** Lets clients work, kills, and gives what clients saw that they must never see. */
  async workAndKill(server: RunningServer, victim: Victim, round: number): Promise<string[]> {
    const stop = new AbortController();
    const clients = Array.from({ length: CLIENTS }, (_, at) => this.#client(server, `c${round}-${at}`, at));
    const running = Promise.all(clients.map((client) => client.run(stop.signal)));
    await pause(100 + this.#random.below(BEFORE_MS));
    if (victim === 'server') {
      stop.abort();
      await server.kill();
      await running;
      return clients.flatMap((client) => this.#take(client.tally));
    }
    const pushes = (): number => clients.reduce((sum, client) => sum + pushesOf(client.tally), 0);
    const before = pushes();
    await killOne(server, victim);
    for (let waitedMs = 0; waitedMs < BACK_MS; waitedMs += AFTER_MS) {
      await pause(AFTER_MS);
      if (pushes() > before) break;
    }
    stop.abort();
    await running;
    const after = pushes();
    await server.kill();
    const stuck = after > before ? [] : [`nothing was pushed any more after the ${victim} was killed`];
    return [...stuck, ...clients.flatMap((client) => this.#take(client.tally))];
  }

  #client(server: RunningServer, name: string, at: number): PushingClient {
    return new PushingClient({
      name,
      client: new RegistryClient(server.url, { keepAlive: at % 2 === 0 }),
      repos: REPOS,
      acknowledged: this.acknowledged,
      random: new SeededRandom(this.#random.below(2 ** 30)),
    });
  }

  #take(tally: Tally): string[] {
    for (const [name, count] of tally.done) this.done.set(name, (this.done.get(name) ?? 0) + count);
    return tally.wrong;
  }

  /** Everything that was acknowledged, asked of the server; and the folder, read without it. */
  async verify(server: RunningServer): Promise<string[]> {
    const client = new RegistryClient(server.url);
    try {
      const faults = await this.acknowledged.verify(client);
      const truth = await readLayouts(this.root);
      const staged = truth.uploads.filter((path) => path.includes('.stage-') && truth.tags.has(repoOf(path)));
      const left = staged.map((path) => `left behind: ${path}`);
      return [...faults, ...truth.faults, ...left, ...(await disagreements(client, truth.tags))];
    } finally {
      client.close();
    }
  }
}

/** The repository of a file of an uploads folder. What was staged before there was a repository is the collector's. */
function repoOf(path: string): string {
  return path.slice(0, path.indexOf('/.uploads/'));
}

function pushesOf(tally: Tally): number {
  return tally.done.get('push of an image') ?? 0;
}

async function killOne(server: RunningServer, victim: Victim): Promise<void> {
  const { keeper, workers } = await serverProcesses(server.pid);
  const pid = victim === 'keeper' ? keeper : workers[0];
  assert.ok(pid, `no ${victim} is running`);
  process.kill(pid, 'SIGKILL');
}

/** Tags that the server lists and the folder does not hold, or the other way round. */
async function disagreements(
  client: RegistryClient,
  tags: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Promise<string[]> {
  const faults: string[] = [];
  for (const [repo, held] of tags) {
    const answer = await client.send('GET', `/v2/${repo}/tags/list`);
    const listed = (JSON.parse(answer.body.toString()) as { tags?: string[] }).tags ?? [];
    const expected = [...held.keys()].sort();
    if (listed.join() !== expected.join())
      faults.push(`${repo} lists ${listed.join()}, and holds ${expected.join()}`);
  }
  return faults;
}

describe('after kill -9', { timeout: timeoutFor(roundsOr(3) * cases.length, 20_000) }, () => {
  for (const [at, options] of cases.entries()) {
    const name = `workers ${options.workers}, commit ${options.commit}, killed: ${options.victims.join(', ')}`;
    test(`all that was acknowledged is there and nothing else shows: ${name}`, async (context) => {
      const random = new SeededRandom(seed * 1000 + at);
      const totals = new Map<string, number>();
      for (let round = 0; round < options.rounds; round += ROUNDS_PER_FOLDER) {
        const rounds = Math.min(ROUNDS_PER_FOLDER, options.rounds - round);
        const done = await playFolder(options, random, round, rounds);
        for (const [kind, count] of done) totals.set(kind, (totals.get(kind) ?? 0) + count);
      }
      context.diagnostic([...totals].map(([kind, count]) => `${kind}: ${count}`).join(', '));
      assert.ok((totals.get('push of an image') ?? 0) >= options.rounds, 'hardly anything was pushed');
    });
  }
});

async function playFolder(
  options: Case,
  random: SeededRandom,
  firstRound: number,
  rounds: number,
): Promise<ReadonlyMap<string, number>> {
  const root = await mkdtemp(join(tmpdir(), 'zot-kill-loop-'));
  const scene = new Scene(root, options, random);
  let server = await scene.start();
  const watcher = new IndexWatcher(root, REPOS);
  try {
    for (let round = firstRound; round < firstRound + rounds; round += 1) {
      const victim = options.victims[round % options.victims.length] ?? 'server';
      const seen = await scene.workAndKill(server, victim, round);
      const log = remarks(server.stdout());
      await server.stop();
      server = await scene.start();
      const faults = [...seen, ...(await scene.verify(server)), ...watcher.faults];
      assert.deepEqual(faults.slice(0, 10), [], `round ${round} of seed ${seed}, ${victim} killed\n${log}`);
    }
    await server.stop();
    assert.deepEqual(await checkFolder(root), []);
    assert.ok(watcher.looks > 0, 'the watcher saw nothing');
    return scene.done;
  } finally {
    await server.kill();
    await server.stop();
    assert.deepEqual(await watcher.stop(), []);
    await rm(root, { recursive: true, force: true });
  }
}
