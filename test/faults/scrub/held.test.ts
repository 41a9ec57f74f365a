/** What only undo keeps (deleted, and within its time) rots: it is found, told of, and made good as anything else. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { parseDigest } from '#oci/digest';
import { parseTag, readReference } from '#oci/reference';
import { NO_TAG_RULES, RegistryError } from '#registry';
import { bodyOf, REPOS } from '../gc/actor.ts';
import { DELAY_MS } from '../gc/collected-registry.ts';
import { PIECES } from '../gc/model.ts';
import type { Piece } from '../gc/model.ts';
import { RottingRegistry } from './rotting-registry.ts';

const [APP, MORE] = REPOS as [(typeof REPOS)[number], (typeof REPOS)[number]];
const UNDO_MS = 5 * DELAY_MS;
const { manifest, blobs } = PIECES[0] as Piece;
const MANIFEST = parseDigest(manifest.digest);
const [CONFIG, LAYER] = blobs.map(({ digest }) => parseDigest(digest)) as [
  ReturnType<typeof parseDigest>,
  ReturnType<typeof parseDigest>,
];

for (const dedupe of [false, true]) {
  describe(`what is held and rots, with dedupe ${dedupe ? 'on' : 'off'}`, { timeout: 60_000 }, () => {
    let rotting: RottingRegistry;
    const opened = () => rotting.collected.opened;

    async function pushBlobs(repo = APP): Promise<void> {
      for (const { bytes, digest } of blobs)
        await opened().registry.uploads.pushWhole(repo, parseDigest(digest), { source: bodyOf(bytes) });
    }

    async function push(repo = APP): Promise<void> {
      await pushBlobs(repo);
      const { mediaType, bytes } = manifest;
      const reference = readReference('v1');
      await opened().registry.pushManifest({ repo, reference, mediaType, bytes, tags: [] });
    }

    const restore = () =>
      opened().keeper.tags.restore({ repo: APP, tag: parseTag('v1'), digest: null, atMs: null, by: 'op' });

    async function requireAbsent(digest = LAYER): Promise<void> {
      await assert.rejects(
        opened().registry.statBlob(APP, digest),
        (error) => error instanceof RegistryError && error.status === 404,
      );
    }

    async function requireServed(): Promise<void> {
      const pulled = await opened().registry.pullManifest(APP, readReference('v1'));
      assert.ok(pulled.bytes.equals(manifest.bytes));
      for (const { digest, bytes } of blobs) {
        const blob = await opened().registry.openBlob(APP, parseDigest(digest));
        const read = Buffer.alloc(blob.sizeBytes);
        await blob.reader.read(read, 0);
        await blob.reader.close();
        assert.ok(read.equals(bytes));
      }
    }

    function begin(): void {
      const rules = { ...NO_TAG_RULES, undoMs: () => UNDO_MS, shortestUndoMs: UNDO_MS };
      opened().keeper.tags.use(rules);
    }

    /** Deletes the image and lets a sweep mark what nothing needs, so that only undo holds it. */
    async function hold(): Promise<void> {
      await opened().registry.deleteManifest(APP, readReference(MANIFEST));
      rotting.collected.clock.advance(1.1 * DELAY_MS);
      await rotting.collected.sweep();
      await requireAbsent();
    }

    beforeEach(async () => {
      rotting = await RottingRegistry.open(dedupe);
      begin();
      await push();
    });
    afterEach(() => rotting.collected.remove());

    for (const [what, digest] of [
      ['layer', LAYER],
      ['config', CONFIG],
      ['manifest', MANIFEST],
    ] as const) {
      test(`is found, not given back as good, and mended by the next push: ${what}`, async () => {
        await hold();
        await rotting.rot(APP, digest, 0.5);
        await rotting.scrub();
        assert.deepEqual(await rotting.damage(), [`${APP} ${digest}`]);
        await assert.rejects(
          restore(),
          (error) => error instanceof RegistryError && error.detail?.reason === 'damaged',
        );
        await requireAbsent(digest);
        await push();
        await rotting.requireMended([APP], digest);
        await requireServed();
      });
    }

    test('is mended from another copy and stays deleted, and can be had back', async () => {
      await push(MORE);
      await hold();
      for (const digest of [LAYER, MANIFEST]) await rotting.rot(APP, digest, 0.5);
      const { counts } = await rotting.scrub();
      // Manifests are not linked; where the layer is one file, no sound copy is at hand until it is pushed.
      const mended = dedupe ? 1 : 2;
      assert.deepEqual([counts.damaged, counts.mended], [dedupe ? 3 : 2, mended]);
      if (dedupe) await pushBlobs(MORE);
      for (const digest of [LAYER, MANIFEST]) await rotting.requireMended(REPOS, digest);
      assert.deepEqual(await rotting.damage(), []);
      for (const digest of [LAYER, MANIFEST]) await requireAbsent(digest);
      await restore();
      await requireServed();
    });

    test('is what mends another copy, a manifest too', async () => {
      await push(MORE);
      await hold();
      await rotting.rot(MORE, MANIFEST, 0.5);
      const { counts } = await rotting.scrub();
      assert.deepEqual([counts.damaged, counts.mended], [1, 1]);
      assert.equal(await rotting.truthOf(MORE, MANIFEST), 'sound');
      await requireAbsent(MANIFEST);
    });

    test('goes when its time is over, and its damage with it', async () => {
      await hold();
      await rotting.rot(APP, LAYER, 0.5);
      await rotting.scrub();
      rotting.collected.clock.advance(UNDO_MS + 1);
      await rotting.collected.collectAll();
      assert.equal(await rotting.truthOf(APP, LAYER), 'gone');
      assert.deepEqual(await rotting.damage(), []);
    });
  });
}
