/**
 * A pass over equal blobs, with the process dying before each call of its disk and in the middle of each write.
 * Whatever it dies at: every repository is whole and shows what it showed, and the next pass does what is left.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import { readReference } from '#oci/reference';
import { DyingDisk } from '../support/dying-disk.ts';
import type { Death } from '../support/dying-disk.ts';
import { contentOf, imageOf } from '../support/images.ts';
import { readLayouts } from '../support/layout-truth.ts';
import { viewOf } from '../support/registry-view.ts';
import { onLinkedCopy } from '../support/linked-copy.ts';
import { SharedStore } from './shared-store.ts';

const REPOS = ['app', 'app/nested', 'other'].map(parseRepoName);
const layer = contentOf(Buffer.from('a layer '.repeat(3000)));
const image = imageOf([layer], 'one');
const known = {
  repos: REPOS,
  manifests: [image.manifest.digest],
  blobs: image.blobs.map(({ digest }) => digest),
};
const CALLS_MAX = 120;

/** Fills a store, with its blobs linked or each for itself. */
async function fill(store: SharedStore, dedupe: boolean): Promise<void> {
  await store.open(dedupe);
  await store.pass();
  const { mediaType, bytes } = image.manifest;
  for (const repo of REPOS) {
    for (const blob of image.blobs) await store.push(repo, blob.bytes);
    await store.opened.registry.pushManifest({
      repo,
      reference: readReference('v1'),
      mediaType,
      bytes,
      tags: [],
    });
  }
  await store.close();
}

/** Runs a pass with a death; gives whether it came to its end, and the name of its last call. */
async function die(root: string, dedupe: boolean, death: Death): Promise<{ ended: boolean; last: string }> {
  const disk = new DyingDisk();
  const store = await SharedStore.create(root);
  await store.open(dedupe, disk, { wrapIndex: (index) => disk.index(index) });
  disk.arm(death);
  const ended = await Promise.race([store.pass().then(() => true), disk.died.then(() => false)]);
  const last = disk.calls.at(-1) ?? '';
  // What the process leaves behind is looked at as it is now, before anything of it is closed.
  await onLinkedCopy(root, async (copy) => {
    assert.deepEqual((await readLayouts(copy)).faults, []);
    await judge(copy, dedupe);
  });
  await disk.bury();
  await store.close();
  return { ended, last };
}

/** Starts again on what a death left. */
async function judge(root: string, dedupe: boolean): Promise<void> {
  const store = await SharedStore.create(root);
  try {
    await store.open(dedupe);
    const expected = {
      tags: { v1: image.manifest.digest },
      manifests: known.manifests,
      blobs: known.blobs.toSorted(),
    };
    const view = async (): Promise<void> => {
      for (const [repo, { tags, manifests, blobs }] of Object.entries(
        await viewOf(store.opened.registry, known),
      ))
        assert.deepEqual({ tags, manifests, blobs: blobs.toSorted() }, expected, repo);
    };
    await view();
    const report = await store.pass();
    assert.equal(report?.failed ?? 0, 0);
    await view();
    for (const { bytes } of image.blobs) {
      const files = await store.files(REPOS, digestOf(bytes));
      assert.equal(files.size, dedupe ? 1 : REPOS.length);
    }
    const { faults, uploads } = await readLayouts(root);
    assert.deepEqual(faults, []);
    // What this very process staged is taken for its own work, and would be removed by the start of another one.
    assert.deepEqual(
      uploads.filter((path) => !path.includes('/.stage-')),
      [],
    );
  } finally {
    await store.close();
  }
}

describe('a pass over equal blobs whose process dies', { timeout: 120_000 }, () => {
  for (const dedupe of [true, false]) {
    describe(dedupe ? 'as it links' : 'as it makes copies', () => {
      let base: SharedStore;
      before(async () => {
        base = await SharedStore.create();
        await fill(base, !dedupe);
      });
      after(() => base.remove());

      test('leaves all names whole, at each of its calls', async (context) => {
        const names = new Set<string>();
        for (let at = 1, finished = false; !finished; at += 1) {
          assert.ok(at < CALLS_MAX, 'the pass makes too many calls');
          for (const torn of [false, true]) {
            const { ended, last } = await onLinkedCopy(base.root, (root) => die(root, dedupe, { at, torn }));
            finished = ended;
            names.add(last);
            // Only writes can be torn.
            if (!last.startsWith('write')) break;
          }
        }
        context.diagnostic([...names].join(', '));
        for (const name of dedupe ? ['link', 'rename'] : ['create', 'write', 'rename'])
          assert.ok(names.has(name), `it never came to ${name}`);
      });
    });
  }
});
