/**
 * A pass over equal blobs meets each thing that a client or a sweep may do, at every call of its driver and its index,
 * and the end of the process. What clients may rely on is never lost, and in the end no garbage is left.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { Actor, REPOS } from '../gc/actor.ts';
import { CollectedRegistry, DELAY_MS } from '../gc/collected-registry.ts';
import { Gate } from '../gc/gate.ts';
import { BLOBS, PIECES } from '../gc/model.ts';
import { roundsOr } from '../support/settings.ts';

const [ONE, OTHER] = REPOS as [(typeof REPOS)[number], (typeof REPOS)[number]];
const CALLS_MAX = 400;
/** Not every call is met in each run of `npm test`: which ones differs from deed to deed. */
const STRIDE = roundsOr(1) > 1 ? 1 : 5;

interface Play {
  readonly actor: Actor;
  readonly collected: CollectedRegistry;
}

const blobs = (PIECES[0]?.blobs ?? []).map(({ digest }) => BLOBS.findIndex((blob) => blob.digest === digest));
const first = blobs[1] ?? 0;

/** Both repositories hold the same blobs: one for a tag, the other for nothing, and due to be collected. */
async function prepare({ actor, collected }: Play, linked: boolean): Promise<void> {
  for (const at of blobs) for (const repo of REPOS) await actor.upload(repo, at);
  if (linked) await collected.dedupe(true);
  await actor.push(ONE, 0, 'v1');
  collected.clock.advance(1.05 * DELAY_MS);
}

const deeds: readonly { readonly name: string; readonly run: (play: Play) => Promise<unknown> }[] = [
  { name: 'upload of one of its blobs', run: ({ actor }) => actor.upload(OTHER, first) },
  { name: 'push that needs its blobs', run: ({ actor }) => actor.push(OTHER, 0, 'v1') },
  { name: 'mount', run: ({ actor }) => actor.mount(OTHER, ONE, first) },
  { name: 'delete of a blob', run: ({ actor }) => actor.deleteBlob(OTHER, first) },
  { name: 'delete of the manifest', run: ({ actor }) => actor.deleteManifest(ONE, 0) },
  { name: 'sweep', run: ({ collected }) => collected.sweep() },
  {
    name: 'sweep that removes',
    run: async ({ collected }) => {
      await collected.sweep();
      collected.clock.advance(1.05 * DELAY_MS);
      await collected.sweep();
    },
  },
];

/** Runs a pass with something happening at one call; gives whether there are so many calls. */
async function meet(on: boolean, deed: (typeof deeds)[number] | null, at: number): Promise<boolean> {
  const gate = new Gate();
  const collected = await CollectedRegistry.open(
    () => gate.driver(new MemoryDriver()),
    (index) => gate.index(index),
  );
  try {
    const play = { actor: new Actor(collected), collected };
    await prepare(play, !on);
    gate.arm(at, deed === null ? gate.kill : async () => void (await deed.run(play)));
    const passed = await collected.dedupe(on).catch((error: unknown) => error);
    const met = await gate.disarm();
    if (deed === null) {
      gate.revive();
      await collected.stop();
      await collected.start();
    } else assert.ok(!(passed instanceof Error), String(passed));
    await play.actor.requirePromises();
    await collected.dedupe(on);
    await play.actor.requirePromises();
    await collected.collectAll();
    await play.actor.requireNoGarbage();
    return met;
  } finally {
    gate.revive();
    await collected.remove();
  }
}

describe('a pass over equal blobs, at each of its calls,', { timeout: 200_000, concurrency: 2 }, () => {
  for (const on of [true, false]) {
    for (const [deedAt, deed] of [...deeds, null].entries()) {
      const what = deed === null ? 'the end of the process' : `a ${deed.name}`;
      test(`meets ${what} as it ${on ? 'links' : 'makes copies'}`, async () => {
        let met = true;
        let at = 1 + (deedAt % STRIDE);
        for (; met && at < CALLS_MAX; at += STRIDE) {
          met = await meet(on, deed, at).catch((error: unknown) => {
            throw new Error(`at call ${at}`, { cause: error });
          });
        }
        assert.ok(!met, `the pass makes more than ${CALLS_MAX} calls`);
        assert.ok(at > 15, 'the pass makes few calls: it is not the one that was meant');
      });
    }
  }
});
