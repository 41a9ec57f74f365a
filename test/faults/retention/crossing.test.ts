/**
 * A round of retention meets what clients do, at every call of its driver and its index; and the process ends at each
 * of them. What a rule keeps and what clients pushed is never lost, and in the end all else is gone.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { CollectedRegistry } from '../gc/collected-registry.ts';
import { Gate } from '../gc/gate.ts';
import { roundsOr } from '../support/settings.ts';
import { RetainedRegistry } from './retained-registry.ts';

const CALLS_MAX = 400;
/** Not every call is met in each run of `npm test`. */
const STRIDE = roundsOr(1) > 1 ? 1 : 3;
const LAST_TWO = { keepTags: [{ mostRecentlyPushedCount: 2 }] };

/** A registry with four tags, one pushed an hour, behind a gate; removed afterwards. */
async function gated(work: (gate: Gate, registry: RetainedRegistry) => Promise<void>): Promise<void> {
  const gate = new Gate();
  const collected = await CollectedRegistry.open(
    () => gate.driver(new MemoryDriver()),
    (index) => gate.index(index),
  );
  try {
    const registry = new RetainedRegistry(collected);
    for (const tag of ['v1', 'v2', 'v3', 'v4']) {
      await registry.push(tag);
      registry.pass(1);
    }
    await work(gate, registry);
  } finally {
    gate.revive();
    await collected.remove();
  }
}

/** Plays a scene for each call that a round makes, until there is none left. */
async function atEachCall(
  play: (at: number, gate: Gate, registry: RetainedRegistry) => Promise<boolean>,
): Promise<void> {
  let met = true;
  let at = 1;
  for (; met && at < CALLS_MAX; at += STRIDE) {
    try {
      await gated(async (gate, registry) => {
        met = await play(at, gate, registry);
      });
    } catch (error) {
      throw new Error(`at call ${at}`, { cause: error });
    }
  }
  assert.ok(!met, `a round makes more than ${CALLS_MAX} calls`);
  assert.ok(at > 10, 'a round makes no calls: it is not the one that was meant');
}

describe('a round of retention, at each of its calls,', { timeout: 240_000 }, () => {
  test('may end with the process: what is kept stays, and the rest goes with a later round', () =>
    atEachCall(async (at, gate, registry) => {
      gate.arm(at, gate.kill);
      await registry.sweep(LAST_TWO).catch((error: unknown) => error);
      const met = await gate.disarm();
      gate.revive();
      await registry.collected.stop();
      await registry.collected.start();
      const left = await registry.tags();
      for (const tag of ['v3', 'v4']) assert.ok(left.includes(tag), `${tag} is lost: ${left.join()}`);
      await registry.sweep(LAST_TWO);
      assert.deepEqual(await registry.tags(), ['v3', 'v4']);
      return met;
    }));

  test('leaves a tag that is pushed meanwhile', () =>
    atEachCall(async (at, gate, registry) => {
      gate.arm(at, async () => void (await registry.push('v1', 'another')));
      await registry.sweep(LAST_TWO);
      const met = await gate.disarm();
      const left = await registry.tags();
      if (!met) assert.deepEqual(left, ['v3', 'v4']);
      // Pushed before it was judged it takes the place of v3; pushed after that it stays beside it.
      else assert.ok(['v1,v4', 'v1,v3,v4'].includes(left.join()), left.join());
      return met;
    }));

  test('leaves two after a deletion, unless it had removed the others before', () =>
    atEachCall(async (at, gate, registry) => {
      gate.arm(at, () => registry.deleteTag('v4'));
      const { tags } = await registry.sweep(LAST_TWO);
      const met = await gate.disarm();
      const left = await registry.tags();
      if (!met) assert.deepEqual(left, ['v3', 'v4']);
      else assert.deepEqual(left, tags === 1 ? ['v2', 'v3'] : ['v3']);
      return met;
    }));
});
