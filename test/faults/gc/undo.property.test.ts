/**
 * Tags are pushed, moved, deleted, restored and purged while garbage is collected beside them, step by step, and clocks
 * are set or the process begins anew: within the time of undo everything that was lost can be had back, what was
 * purged is gone, the history tells all of it, and in the end nothing is held any more.
 */
import { mkdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LocalDriver } from '#storage';
import type { StorageDriver } from '#storage';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { roundsOr, seed } from '../support/settings.ts';
import { CollectedRegistry, DELAY_MS } from './collected-registry.ts';
import { BLOBS, PIECES } from './model.ts';
import { SteppedWork } from './stepped-work.ts';
import { UNDO_MS, UndoActor } from './undo-actor.ts';

const tag = fc.constantFrom('v1', 'latest', 'x');
const piece = fc.nat(PIECES.length - 1);
const share = fc.constantFrom(0.2, 0.6, 1.1, 1.1, 2.5, 5.5);

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('push' as const), piece, tag: fc.option(tag, { freq: 4 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('deleteTag' as const), tag }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('deleteManifest' as const), piece }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('deleteBlob' as const), at: fc.nat(BLOBS.length - 1) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('restore' as const), tag, piece: fc.option(piece, { freq: 1 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), piece }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance' as const), share }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('collect' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('proceed' as const), steps: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('disturb' as const), share, back: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Parts {
  readonly actor: UndoActor;
  readonly sweep: SteppedWork;
  readonly collected: CollectedRegistry;
  readonly disturbance: 'clock' | 'restart';
}

async function act(next: Step, parts: Parts): Promise<void> {
  const { actor, sweep, collected } = parts;
  switch (next.do) {
    case 'push':
      return actor.push(next.piece, next.tag);
    case 'deleteTag':
      return actor.deleteTag(next.tag);
    case 'deleteManifest':
      return actor.deleteManifest(next.piece);
    case 'deleteBlob':
      return actor.deleteBlob(next.at);
    case 'restore':
      return actor.restore(next.tag, next.piece);
    case 'purge':
      return actor.purge(next.piece);
    case 'advance':
      return collected.clock.advance(next.share * DELAY_MS);
    case 'sweep':
      return sweep.start((pause) => collected.sweep(pause));
    case 'collect':
      return collect(parts);
    case 'proceed':
      return sweep.proceed(next.steps);
    case 'disturb':
      return disturb(next, parts);
  }
}

/** As much as can be collected of what is old enough: marked by one sweep, removed by the next. */
async function collect({ sweep, collected }: Parts): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    await sweep.end();
    collected.clock.advance(1.1 * DELAY_MS);
    await collected.sweep();
  }
}

async function disturb(next: Extract<Step, { do: 'disturb' }>, parts: Parts): Promise<void> {
  const { actor, sweep, collected, disturbance } = parts;
  if (disturbance === 'clock') {
    collected.clock.jump((next.back ? -1 : 1) * next.share * 3 * DELAY_MS);
    // A server looks at its clock every ten minutes; what it was set to and back in between cannot be told.
    const { clock, index, keeper } = collected.parts();
    return clock.correct({ index, tags: keeper.tags });
  }
  await sweep.end();
  await collected.stop();
  await collected.start();
  actor.begin();
}

async function play(parts: Parts, steps: readonly { step: Step; beside: boolean }[]): Promise<void> {
  const { actor, sweep, collected } = parts;
  for (const { step: next, beside } of steps) {
    const done = act(next, parts);
    if (beside) await Promise.all([done, sweep.proceed(3)]);
    else await done;
    await actor.require();
  }
  await sweep.end();
  await actor.require();
  // As often as the clock may have been set: what it made younger is let grow old.
  for (let round = 0; round < 3; round += 1) {
    collected.clock.advance(UNDO_MS + 1);
    await collected.collectAll();
  }
  await actor.requireNoGarbage();
}

const drivers: readonly { name: string; make: (root: string) => StorageDriver; runs: number }[] = [
  { name: 'memory', make: () => new MemoryDriver(), runs: 40 },
  {
    name: 'local',
    make: (root) => {
      mkdirSync(`${root}/store`);
      return new LocalDriver(`${root}/store`);
    },
    runs: 10,
  },
];

describe('what tags lose can be had back', { timeout: 240_000 }, () => {
  for (const { name, make, runs } of drivers) {
    for (const disturbance of ['clock', 'restart'] as const) {
      test(`while garbage is collected: ${name} driver, ${disturbance}`, async () => {
        const steps = fc.array(fc.record({ step, beside: fc.boolean() }), { minLength: 5, maxLength: 40 });
        const property = fc.asyncProperty(steps, async (list) => {
          const collected = await CollectedRegistry.open(make);
          try {
            const actor = new UndoActor(collected);
            await play({ actor, sweep: new SteppedWork(), collected, disturbance }, list);
          } finally {
            await collected.remove();
          }
        });
        await fc.assert(property, { numRuns: runs * roundsOr(1), seed, interruptAfterTimeLimit: 100_000 });
      });
    }
  }
});
