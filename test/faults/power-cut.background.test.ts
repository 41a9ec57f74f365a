/**
 * R3 for background work: a power cut at every moment of a sweep and of passes over equal blobs, while clients push
 * and delete. What was acknowledged is there afterwards, whatever was being linked, copied, marked or removed.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pino } from 'pino';
import { NO_AUDIT } from '#lib/audit-log';
import { DedupePass, SettledRepositories, Sweep, SweepClock, emptyPassReport, emptyReport } from '#tasks';
import type { PassReport, SweepParts, SweepReport } from '#tasks';
import { DELAY_MS, TestClock, settings } from './gc/collected-registry.ts';
import { contentOf, imageOf, indexOf } from './support/images.ts';
import type { Content } from './support/images.ts';
import type { OpenedRegistry } from './support/opened-registry.ts';
import { play } from './support/power-cut-play.ts';
import type { History } from './support/power-cut-play.ts';
import { PromisingClient } from './support/promising-client.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';

const logger = pino({ level: 'silent' });
const context = { signal: new AbortController().signal, pause: async () => undefined };

const layer = (name: string): Content => contentOf(Buffer.from(`layer ${name} `.repeat(500)));
const one = imageOf([layer('base')], 'one');
const two = imageOf([layer('base'), layer('top')], 'two');
const three = imageOf([layer('base'), layer('late')], 'three');
const both = indexOf([one.manifest, two.manifest]);

/** Makes what is stored follow the switch, as after a start or a change of the configuration. */
async function pass({ storage, index, keeper }: OpenedRegistry, dedupe: boolean): Promise<PassReport> {
  const [store] = storage.stores;
  assert.ok(store);
  store.dedupe = dedupe;
  const parts = { storage, index, keeper, logger, store };
  const more = { ready: Promise.resolve(), spaceLimit: { bytes: 0, share: 0 } };
  const report = emptyPassReport();
  await new DedupePass(dedupe ? 'link' : 'restore', { ...parts, ...more }, context, report).run('');
  return report;
}

const linking: History = {
  title: 'equal blobs are linked',
  run: async (opened, disk) => {
    const [a, b, c] = ['a', 'a/b', 'c'].map((repo) => new PromisingClient(opened.registry, disk, repo));
    for (const client of [a, b, c]) await client?.pushImage(one, 'v1');
    await a?.pushImage(two, 'v2');
    const [{ linked, failed }] = await Promise.all([
      pass(opened, true),
      b?.pushImage(three, 'v3'),
      c?.pushImage(two, 'v2'),
    ]);
    // Some by the pushes beside it.
    assert.deepEqual([linked > 0, failed], [true, 0]);
  },
};

const copying: History = {
  title: 'shared blobs become independent',
  dedupe: true,
  run: async (opened, disk) => {
    const [a, b, c] = ['a', 'a/b', 'c'].map((repo) => new PromisingClient(opened.registry, disk, repo));
    for (const client of [a, b, c]) await client?.pushImage(one, 'v1');
    const [{ copied, failed }] = await Promise.all([
      pass(opened, false),
      b?.pushImage(three, 'v3'),
      c?.pushImage(two, 'v2'),
    ]);
    assert.deepEqual([copied > 0, failed], [true, 0]);
  },
};

function collecting(): History {
  const clock = new TestClock();
  return {
    title: 'garbage is collected',
    dedupe: true,
    nowMs: clock.nowMs,
    run: async (opened, disk) => {
      const a = new PromisingClient(opened.registry, disk, 'a');
      const b = new PromisingClient(opened.registry, disk, 'b');
      await a.pushImage(one, 'v1');
      await b.pushImage(one, 'v1');
      // Nobody is promised what is garbage soon.
      const passing = new PromisingClient(opened.registry, { acknowledge: () => undefined }, 'b');
      await passing.pushImage(two, 'v2');
      await passing.push(both, 'both');
      for (const tag of ['v2', 'both']) await b.deleteTag(tag);
      const sweepClock = new SweepClock(clock);
      const removed = { manifests: 0, blobs: 0, failed: 0 };
      // Marks what is old; then, when the grace is over, removes it; and all that beside pushes.
      for (const [at, image] of [two, three, two].entries()) {
        clock.advance(1.05 * DELAY_MS);
        const pushing = new PromisingClient(opened.registry, disk, `new/r${at}`);
        const [report] = await Promise.all([sweep(opened, sweepClock), pushing.pushImage(image, 'late')]);
        for (const key of ['manifests', 'blobs', 'failed'] as const) removed[key] += report[key];
      }
      // The index and its second image, with what they alone needed.
      assert.deepEqual([removed.manifests, removed.blobs >= 4, removed.failed], [2, true, 0]);
    },
  };
}

async function sweep(
  { storage, index, keeper, records }: OpenedRegistry,
  clock: SweepClock,
): Promise<SweepReport> {
  const store = storage.stores[0] as SweepParts['store'];
  const report = emptyReport();
  const parts = { storage, index, keeper, records, logger, audit: NO_AUDIT, clock, store, settings };
  const settled = new SettledRepositories();
  await new Sweep({ ...parts, settled, serving: true }, context, report).run();
  return report;
}

describe('background work in a power cut', { timeout: timeoutFor(roundsOr(1) * 3, 60_000) }, () => {
  for (const [at, history] of [linking, copying, collecting()].entries()) {
    test(`loses nothing that was acknowledged, as ${history.title}`, async (test) => {
      const { states, faults } = await play(history, { seed: seed * 10 + at });
      assert.deepEqual(faults, []);
      assert.ok(states > 50, `only ${states} states`);
      test.diagnostic(`${states} states`);
    });
  }
});
