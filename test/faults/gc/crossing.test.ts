/**
 * A sweep meets each thing that a client may do, at every call of its driver and its index; and the process ends at
 * each of them. What clients may rely on is never lost, and in the end all garbage is gone and nothing else.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDigest } from '#oci/digest';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { roundsOr } from '../support/settings.ts';
import { Actor, REPOS } from './actor.ts';
import { CollectedRegistry, DELAY_MS } from './collected-registry.ts';
import { Gate } from './gate.ts';
import { BLOBS, PIECES } from './model.ts';

const REPO = REPOS[0] as (typeof REPOS)[number];
const OTHER = REPOS[1] as (typeof REPOS)[number];
const CALLS_MAX = 600;
/** Not every call is met in each run of `npm test`: which ones differs from pair to pair. */
const STRIDE = roundsOr(1) > 1 ? 1 : 11;

interface Play {
  readonly actor: Actor;
  readonly collected: CollectedRegistry;
}

const pass = ({ collected }: Play, share: number): void => collected.clock.advance(share * DELAY_MS);
const blobs = (piece: number): number[] =>
  (PIECES[piece]?.blobs ?? []).map(({ digest }) => BLOBS.findIndex((blob) => blob.digest === digest));

async function upload({ actor }: Play, piece: number): Promise<void> {
  for (const at of blobs(piece)) await actor.upload(REPO, at);
}

async function push(play: Play, piece: number, tag: string | null): Promise<void> {
  await upload(play, piece);
  await play.actor.push(REPO, piece, tag);
}

/** What stands there when a sweep begins. */
const scenes: readonly { readonly name: string; readonly prepare: (play: Play) => Promise<void> }[] = [
  {
    name: 'blobs that are due to be marked',
    prepare: async (play) => {
      await upload(play, 0);
      await play.actor.giveUp(REPO);
      pass(play, 1.05);
    },
  },
  {
    name: 'blobs that a client has just seen, due to be marked',
    prepare: async (play) => {
      await upload(play, 0);
      pass(play, 1.05);
      for (const at of blobs(0)) await play.actor.look(REPO, at);
    },
  },
  {
    name: 'marked blobs that a client saw before',
    prepare: async (play) => {
      await upload(play, 0);
      pass(play, 1.05);
      for (const at of blobs(0)) await play.actor.look(REPO, at);
      await play.collected.sweep();
      pass(play, 0.8);
    },
  },
  {
    name: 'marked blobs that are due to be removed',
    prepare: async (play) => {
      await upload(play, 0);
      pass(play, 1.05);
      await play.collected.sweep();
      pass(play, 1.05);
    },
  },
  {
    name: 'manifests without a tag, which a client has just seen',
    prepare: async (play) => {
      for (const piece of [0, 1]) await push(play, piece, null);
      pass(play, 1.05);
      for (const piece of [0, 1]) {
        const { digest } = PIECES[piece]?.manifest ?? { digest: '' };
        await play.collected.opened.registry.statManifest(REPO, {
          kind: 'digest',
          digest: parseDigest(digest),
        });
        play.actor.model(REPO).seen.set(digest, play.collected.clock.elapsedMs());
        for (const blob of PIECES[piece]?.blobs ?? [])
          play.actor.model(REPO).seen.set(blob.digest, play.collected.clock.elapsedMs());
      }
    },
  },
  {
    name: 'an image whose tag moved, with a signature, and an index without a tag',
    prepare: async (play) => {
      for (const piece of [0, 3, 1]) await push(play, piece, piece === 3 ? null : 'v1');
      await play.actor.push(REPO, 4, null);
      pass(play, 1.05);
    },
  },
];

/** What a client does meanwhile. */
const deeds: readonly { readonly name: string; readonly run: (play: Play) => Promise<void> }[] = [
  { name: 'push by tag', run: ({ actor }) => actor.push(REPO, 0, 'latest') },
  { name: 'push of an index', run: ({ actor }) => actor.push(REPO, 2, 'all') },
  { name: 'push of a signature', run: ({ actor }) => actor.push(REPO, 3, null) },
  { name: 'upload of the same blobs', run: (play) => upload(play, 0) },
  { name: 'push of a whole image', run: (play) => push(play, 0, null) },
  { name: 'mount into another repository', run: ({ actor }) => actor.mount(OTHER, REPO, blobs(0)[1] ?? 0) },
  { name: 'delete of a blob', run: ({ actor }) => actor.deleteBlob(REPO, blobs(0)[1] ?? 0) },
  { name: 'delete of a manifest', run: ({ actor }) => actor.deleteManifest(REPO, 0) },
];

/** Sweeps with something happening at one call; gives whether there are so many calls. */
async function meet(
  scene: (typeof scenes)[number],
  deed: (typeof deeds)[number] | null,
  at: number,
): Promise<boolean> {
  const gate = new Gate();
  const collected = await CollectedRegistry.open(
    () => gate.driver(new MemoryDriver()),
    (index) => gate.index(index),
  );
  try {
    const play = { actor: new Actor(collected), collected };
    await scene.prepare(play);
    gate.arm(at, deed === null ? gate.kill : () => deed.run(play));
    const failure = await collected.sweep().then(
      () => null,
      (error: unknown) => error,
    );
    const met = await gate.disarm();
    if (deed === null) {
      gate.revive();
      await collected.stop();
      await collected.start();
    } else assert.equal(failure, null);
    await play.actor.requirePromises();
    await collected.collectAll();
    await play.actor.requireNoGarbage();
    return met;
  } finally {
    gate.revive();
    await collected.remove();
  }
}

describe('a sweep, at each of its calls,', { timeout: 280_000, concurrency: 2 }, () => {
  for (const [sceneAt, scene] of scenes.entries()) {
    for (const [deedAt, deed] of [...deeds, null].entries()) {
      test(`meets ${deed === null ? 'the end of the process' : `a ${deed.name}`}: ${scene.name}`, async () => {
        let met = true;
        let at = 1 + ((sceneAt + deedAt) % STRIDE);
        for (; met && at < CALLS_MAX; at += STRIDE) {
          met = await meet(scene, deed, at).catch((error: unknown) => {
            throw new Error(`at call ${at}`, { cause: error });
          });
        }
        assert.ok(!met, `the sweep makes more than ${CALLS_MAX} calls`);
        assert.ok(at > 2, 'the sweep makes no calls: it is not the one that was meant');
      });
    }
  }
});

/** What leaves garbage behind, whether it comes to its end or not. */
const leavers: readonly { readonly name: string; readonly run: (play: Play) => Promise<void> }[] = [
  { name: 'upload', run: (play) => upload(play, 0) },
  { name: 'push by digest', run: (play) => push(play, 0, null) },
  {
    name: 'mount',
    run: async (play) => {
      await play.actor.upload(REPO, 0);
      await play.actor.mount(OTHER, REPO, 0);
    },
  },
];

describe('a process that ends', { timeout: 120_000 }, () => {
  for (const { name, run } of leavers) {
    test(`at any call of a ${name} leaves nothing that is not collected in the end`, async () => {
      let met = true;
      for (let at = 1; met && at < CALLS_MAX; at += roundsOr(1) > 1 ? 1 : 3) {
        const gate = new Gate();
        const collected = await CollectedRegistry.open(
          () => gate.driver(new MemoryDriver()),
          (index) => gate.index(index),
        );
        try {
          gate.arm(at, gate.kill);
          // Its answer is lost with it.
          await run({ actor: new Actor(collected), collected }).catch((error: unknown) => error);
          met = await gate.disarm();
          gate.revive();
          await collected.stop();
          await collected.start();
          await collected.collectAll();
          await new Actor(collected).requireNoGarbage();
        } catch (error) {
          throw new Error(`at call ${at}`, { cause: error });
        } finally {
          gate.revive();
          await collected.remove();
        }
      }
      assert.ok(!met);
    });
  }
});

describe('times', { timeout: 60_000 }, () => {
  const opened = async (work: (play: Play) => Promise<void>): Promise<void> => {
    const collected = await CollectedRegistry.open(() => new MemoryDriver());
    try {
      await work({ actor: new Actor(collected), collected });
    } finally {
      await collected.remove();
    }
  };

  test('of a clock that is set forward age nothing', () =>
    opened(async (play) => {
      await upload(play, 0);
      await push(play, 1, null);
      await play.collected.opened.registry.uploads.start(REPO);
      play.collected.clock.jump(5 * DELAY_MS);
      const { buried, uploads, manifests } = await play.collected.sweep();
      assert.deepEqual([buried, uploads, manifests], [0, 0, 0]);
      await play.actor.requirePromises();
      pass(play, 1.05);
      const later = await play.collected.sweep();
      assert.deepEqual([later.manifests, later.uploads], [1, 1]);
      assert.ok(later.buried >= blobs(0).length);
    }));

  test('of a clock that is set back keep no garbage for ever', () =>
    opened(async (play) => {
      await upload(play, 0);
      await play.collected.opened.registry.uploads.start(REPO);
      play.collected.clock.jump(-500 * DELAY_MS);
      await play.collected.collectAll();
      await play.actor.requireNoGarbage();
    }));

  test('of a file that another tool wrote again protect it, marked or not', () =>
    opened(async (play) => {
      const { storage } = play.collected.opened;
      const { driver } = storage.storeOf(REPO);
      const [first = 0, second = 0] = blobs(0);
      await upload(play, 0);
      pass(play, 1.05);
      const writeAgain = async (at: number): Promise<void> => {
        const { digest, bytes } = BLOBS[at] as (typeof BLOBS)[number];
        const path = `${REPO}/blobs/sha256/${digest.slice('sha256:'.length)}`;
        await driver.put(path, [bytes], { durable: false, stagingPath: 'stage' });
      };
      const isThere = async (at: number): Promise<boolean> =>
        (await storage.repository(REPO).statBlob(parseDigest(BLOBS[at]?.digest ?? ''))) !== null;
      await writeAgain(first);
      await play.collected.sweep();
      pass(play, 0.9);
      await writeAgain(second);
      pass(play, 0.15);
      await play.collected.sweep();
      assert.deepEqual([await isThere(first), await isThere(second)], [true, true]);
    }));
});
