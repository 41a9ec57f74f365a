/**
 * Clients push, look, mount, move and delete while garbage is collected and equal blobs are linked or made independent
 * beside them, step by step, and clocks are set forward and back: nothing that somebody may rely on is ever lost, and
 * in the end all garbage is gone, and nothing else.
 */
import { mkdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { IndexWriter } from '#metadata';
import { LocalDriver } from '#storage';
import type { StorageDriver } from '#storage';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { roundsOr, seed } from '../support/settings.ts';
import { Actor, REPOS, TAGS } from './actor.ts';
import { CollectedRegistry, DELAY_MS } from './collected-registry.ts';
import { BLOBS, PIECES } from './model.ts';
import { SteppedWork } from './stepped-work.ts';

const repoAt = fc.constantFrom(...REPOS);
const blobAt = fc.nat(BLOBS.length - 1);
const pieceAt = fc.nat(PIECES.length - 1);
const tagAt = fc.constantFrom(...TAGS);
const share = fc.constantFrom(0.1, 0.45, 0.9, 1.05, 2.5);

/** Named steps with their arguments, so that a failing run can be read. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('upload' as const), repo: repoAt, at: blobAt }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('giveUp' as const), repo: repoAt }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('look' as const), repo: repoAt, at: blobAt }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('mount' as const), repo: repoAt, at: blobAt, from: repoAt }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('push' as const),
      repo: repoAt,
      at: pieceAt,
      tag: fc.option(tagAt),
      whole: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deleteTag' as const), repo: repoAt, tag: tagAt }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('deleteManifest' as const), repo: repoAt, at: pieceAt }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteBlob' as const), repo: repoAt, at: blobAt }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('advance' as const), share }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('spread' as const), at: pieceAt }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('dedupe' as const), on: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('proceed' as const), steps: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('disturb' as const), share, back: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** What disturbs a run: the wall clock is set, or the process ends and begins anew. */
type Disturbance = 'clock' | 'restart';

interface Parts {
  readonly actor: Actor;
  readonly sweep: SteppedWork;
  readonly pass: SteppedWork;
  readonly collected: CollectedRegistry;
  readonly disturbance: Disturbance;
}

async function play(
  collected: CollectedRegistry,
  steps: readonly { step: Step; beside: boolean }[],
  disturbance: Disturbance,
): Promise<void> {
  const actor = new Actor(collected);
  const sweep = new SteppedWork();
  const pass = new SteppedWork();
  for (const { step: next, beside } of steps) {
    const done = act(next, { actor, sweep, pass, collected, disturbance });
    // Some steps run while the sweep goes on, the others between its steps.
    if (beside) await Promise.all([done, sweep.proceed(2), pass.proceed(2)]);
    else await done;
    await actor.requirePromises();
  }
  await Promise.all([sweep.end(), pass.end()]);
  await actor.requirePromises();
  await collected.collectAll();
  await actor.requireNoGarbage();
}

async function act(next: Step, parts: Parts): Promise<void> {
  const { actor, sweep, pass, collected } = parts;
  switch (next.do) {
    case 'advance':
      return collected.clock.advance(next.share * DELAY_MS);
    case 'sweep':
      return sweep.start((pause) => collected.sweep(pause));
    case 'dedupe':
      await pass.end();
      return pass.start((pause) => collected.dedupe(next.on, pause));
    case 'proceed':
      await Promise.all([sweep.proceed(next.steps), pass.proceed(next.steps)]);
      return;
    case 'disturb':
      return disturb(next, parts);
    case 'deleteTag':
      return actor.deleteTag(next.repo, next.tag);
    case 'deleteManifest':
      return actor.deleteManifest(next.repo, next.at);
    case 'deleteBlob':
      return actor.deleteBlob(next.repo, next.at);
    default:
      return bring(next, actor);
  }
}

/** What brings content, or looks for it. */
async function bring(next: Step, actor: Actor): Promise<void> {
  if (next.do === 'upload') return actor.upload(next.repo, next.at);
  if (next.do === 'spread') {
    for (const at of blobsOf(next.at)) await Promise.all(REPOS.map((repo) => actor.upload(repo, at)));
    return;
  }
  if (next.do === 'giveUp') return actor.giveUp(next.repo);
  if (next.do === 'look') return actor.look(next.repo, next.at);
  if (next.do === 'mount') return actor.mount(next.repo, next.from, next.at);
  if (next.do !== 'push') return;
  if (next.whole) for (const at of blobsOf(next.at)) await actor.upload(next.repo, at);
  await actor.push(next.repo, next.at, next.tag);
}

async function disturb(next: Extract<Step, { do: 'disturb' }>, parts: Parts): Promise<void> {
  const { sweep, pass, collected, disturbance } = parts;
  if (disturbance === 'clock') return collected.clock.jump((next.back ? -1 : 1) * next.share * 3 * DELAY_MS);
  await Promise.all([sweep.end(), pass.end()]);
  await collected.stop();
  await collected.start();
}

function blobsOf(piece: number): number[] {
  const digests = PIECES[piece]?.blobs.map(({ digest }) => digest) ?? [];
  return digests.map((digest) => BLOBS.findIndex((blob) => blob.digest === digest));
}

/** The index, answering after a few turns more or less, so that what runs beside each other meets everywhere. */
function delaying(random: SeededRandom): (index: IndexWriter) => IndexWriter {
  return (index) =>
    new Proxy(index, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          for (let turn = random.below(4); turn > 1; turn -= 1) await nextTurn();
          return value.apply(target, args) as unknown;
        };
      },
    });
}

const drivers: readonly { name: string; make: (root: string) => StorageDriver; runs: number }[] = [
  { name: 'memory', make: () => new MemoryDriver(), runs: 60 },
  {
    name: 'local',
    make: (root) => {
      mkdirSync(`${root}/store`);
      return new LocalDriver(`${root}/store`);
    },
    runs: 25,
  },
];

describe('garbage is collected beside clients', { timeout: 240_000 }, () => {
  for (const { name, make, runs } of drivers) {
    for (const disturbance of ['clock', 'restart'] as const) {
      test(`and nothing that they rely on is lost: ${name} driver, ${disturbance}`, async () => {
        const steps = fc.array(fc.record({ step, beside: fc.boolean() }), { minLength: 5, maxLength: 60 });
        const property = fc.asyncProperty(steps, fc.nat(), async (list, randomSeed) => {
          const random = new SeededRandom(randomSeed);
          const collected = await CollectedRegistry.open(make, delaying(random));
          try {
            await play(collected, list, disturbance);
          } finally {
            await collected.remove();
          }
        });
        await fc.assert(property, { numRuns: runs * roundsOr(1), seed, interruptAfterTimeLimit: 100_000 });
      });
    }
  }
});
