/**
 * R5 and R6: every request, with each storage call that it makes failing in turn: no space, no permission, a failing
 * device, a lost answer, a short write. The answer says what is wrong (507 or 503, or the request succeeds all the
 * same), never 500 and never wrong bytes; an error leaves everything as it was; and once the fault is gone the same
 * request succeeds, so nothing is stuck.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LocalDriver } from '#storage';
import type { StorageDriver } from '#storage';
import { MemoryDriver } from '../../src/storage/drivers/memory.ts';
import { FAULT_KINDS, FaultyDriver } from './support/faulty-driver.ts';
import type { FaultKind } from './support/faulty-driver.ts';
import { scenarios, stateOf } from './support/request-scenarios.ts';
import type { Scenario, Scene } from './support/request-scenarios.ts';
import { serveInProcess } from './support/in-process-server.ts';
import type { InProcessServer } from './support/in-process-server.ts';
import { NoAnswer } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { TrackedDriver } from './support/tracked-driver.ts';
import { roundsOr, seed } from './support/settings.ts';

const CALLS_MAX = 60;
const SLOW_CALL_MS = 25;

interface Case {
  readonly name: string;
  readonly make: (root: string) => StorageDriver;
  /** Syncs of a real disk cost time and prove nothing here; the calls are made all the same in memory. */
  readonly commit: boolean;
  readonly kinds: readonly FaultKind[];
}

const cases: readonly Case[] = [
  { name: 'memory driver, commit on', make: () => new MemoryDriver(), commit: true, kinds: FAULT_KINDS },
  {
    name: 'local driver, commit off',
    make: (root) => new LocalDriver(root),
    commit: false,
    kinds: FAULT_KINDS.slice(0, roundsOr(1) > 1 ? FAULT_KINDS.length : 2),
  },
];

class Bench {
  #driver: FaultyDriver;
  #tracked: TrackedDriver;
  #server: InProcessServer;
  #random = new SeededRandom(seed);
  #scenes = 0;

  constructor(driver: FaultyDriver, tracked: TrackedDriver, server: InProcessServer) {
    this.#driver = driver;
    this.#tracked = tracked;
    this.#server = server;
  }

  /** Fails each call of the scenario in turn and gives how many there are. */
  async failEveryCall(scenario: Scenario, kind: FaultKind): Promise<number> {
    for (let at = 1; at <= CALLS_MAX; at += 1) {
      this.#scenes += 1;
      const scene: Scene = {
        client: this.#server.client,
        repo: `scene/${this.#scenes}`,
        random: this.#random,
        kept: new Map(),
      };
      await scenario.prepare(scene);
      if (!(await this.#attempt(scenario, scene, { ...kind, at }))) return at - 1;
    }
    throw new Error(`${scenario.name} makes more than ${CALLS_MAX} calls`);
  }

  /** Runs the scenario while each call of the storage takes its time. */
  async runSlowly(scenario: Scenario, delayMs: number): Promise<void> {
    this.#scenes += 1;
    const repo = `slow/${this.#scenes}`;
    const scene: Scene = { client: this.#server.client, repo, random: this.#random, kept: new Map() };
    await scenario.prepare(scene);
    this.#driver.slowDown(delayMs);
    const answer = await scenario.run(scene);
    this.#driver.slowDown(0);
    assert.ok(scenario.good.includes(answer.status), `${scenario.name}: ${answer.status}`);
    await scenario.verify?.(scene, answer);
    assert.equal(this.#tracked.openFiles, 0, `${scenario.name}: files are left open`);
  }

  /** Gives whether a call failed. */
  async #attempt(scenario: Scenario, scene: Scene, plan: FaultKind & { at: number }): Promise<boolean> {
    const before = await stateOf(scene);
    const failedBefore = this.#driver.failed;
    this.#driver.arm(plan);
    const status = await scenario.run(scene).then(
      (answer) => answer.status,
      (error: unknown) => {
        if (error instanceof NoAnswer) return 'cut off' as const;
        throw error;
      },
    );
    const calls = [...this.#driver.calls];
    this.#driver.arm(null);
    const failed = this.#driver.failed > failedBefore;
    const where = `${scenario.name}, call ${plan.at} (${calls[plan.at - 1]}): answered with ${status}`;
    assert.ok(
      this.#allowed(scenario, plan, failed).includes(status),
      `${where}\n${this.#server.log.slice(-3).join('')}`,
    );
    const done = typeof status === 'number' && status < 300;
    if (failed && !done && plan.when !== 'after') assert.deepEqual(await stateOf(scene), before, where);
    const again = await scenario.run(scene);
    const repeated =
      done || plan.when === 'after' ? [...scenario.good, ...(scenario.repeated ?? [])] : scenario.good;
    assert.ok(
      repeated.includes(again.status),
      `${where}, and then with ${again.status} ${again.body.toString()}`,
    );
    await scenario.verify?.(scene, again);
    // An answer that was lost may have opened a file that nobody knows of: that is the test's doing.
    if (plan.when !== 'after') assert.equal(this.#tracked.openFiles, 0, `${where}: files are left open`);
    return failed;
  }

  #allowed(scenario: Scenario, plan: FaultKind, failed: boolean): readonly (number | 'cut off')[] {
    if (!failed) return scenario.good;
    const refusal = plan.fault === 'full' && scenario.asksForReadiness !== true ? 507 : 503;
    return [...scenario.good, refusal, ...(scenario.streams === true ? (['cut off'] as const) : [])];
  }
}

describe('a request whose storage fails', { timeout: 180_000 }, () => {
  for (const { name, make, commit, kinds } of cases) {
    for (const kind of kinds) {
      const how = `${kind.fault} ${kind.when}${kind.forGood === true ? ' for good' : ''}`;
      test(`is answered rightly and leaves nothing stuck: ${name}, ${how}`, async (context) => {
        const root = await mkdtemp(join(tmpdir(), 'zot-failing-storage-'));
        const tracked = new TrackedDriver(make(root));
        const driver = new FaultyDriver(tracked);
        const server = await serveInProcess({ root, driver, storage: { commit } });
        const bench = new Bench(driver, tracked, server);
        try {
          let failures = 0;
          for (const scenario of scenarios) failures += await bench.failEveryCall(scenario, kind);
          context.diagnostic(`${failures} calls failed`);
          assert.ok(failures > scenarios.length);
        } finally {
          driver.arm(null);
          await server.close();
          await tracked.closeAll();
          await rm(root, { recursive: true, force: true });
        }
      });
    }
  }

  test('or is slow at every call, is answered as ever', async () => {
    const root = await mkdtemp(join(tmpdir(), 'zot-slow-storage-'));
    const tracked = new TrackedDriver(new MemoryDriver());
    const driver = new FaultyDriver(tracked);
    const server = await serveInProcess({ root, driver });
    const bench = new Bench(driver, tracked, server);
    try {
      for (const scenario of scenarios) await bench.runSlowly(scenario, SLOW_CALL_MS);
    } finally {
      await server.close();
      await rm(root, { recursive: true, force: true });
    }
  });
});
