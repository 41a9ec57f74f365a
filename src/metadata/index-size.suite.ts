import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, before, describe, test } from 'node:test';
import { OCI_MANIFEST } from '#oci/media-types';
import { readReference } from '#oci/reference';
import type { OpenedIndex } from './index-contract.suite.ts';
import type { IndexReader, NewManifest } from './index-contract.ts';
import { REPO, change, digestOfText, entry, image, snapshot } from './index-samples.suite.ts';

/** 100,000 descriptors: what is asked for decides what it costs, and nothing else. `open` gives an empty index. */
export function indexSizeContract(name: string, open: () => Promise<OpenedIndex>): void {
  describe(`the ${name} index with 100,000 tags`, { timeout: 300_000 }, () => {
    const COUNT = 100_000;
    let index: OpenedIndex;
    let reader: IndexReader;
    before(async () => {
      index = await open();
      reader = await index.openReader();
    });
    after(() => index.close());

    /** Runs many look-ups and gives the milliseconds of one. */
    const perLookUp = async (lookUp: (at: number) => Promise<unknown>): Promise<number> => {
      const startedMs = performance.now();
      for (let at = 0; at < 300; at += 1) assert.ok(await lookUp((at * 317) % COUNT));
      return (performance.now() - startedMs) / 300;
    };

    test('is replaced without holding others up', async () => {
      const base = image('base').projection;
      const manifests = Array.from({ length: COUNT }, (_, at): NewManifest => {
        return { digest: digestOfText(`${at}`), mediaType: OCI_MANIFEST, sizeBytes: 1000, projection: base };
      });
      const entries = manifests.map((manifest, at) => entry(at, manifest, `tag-${at}`));
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      await index.writer.replaceRepository(snapshot({ manifests, entries }));
      delay.disable();
      assert.ok(
        delay.percentile(99) / 1e6 < 500,
        `the event loop stood still for ${delay.percentile(99) / 1e6} ms`,
      );
      assert.equal((await reader.listTags(REPO, { after: '', limit: COUNT + 1 })).length, COUNT);
    });

    test('answers each look-up in less than a few milliseconds', async () => {
      const { writer } = index;
      const costs = {
        byTag: await perLookUp((at) => reader.findManifest(REPO, readReference(`tag-${at}`))),
        byDigest: await perLookUp((at) => reader.findManifest(REPO, readReference(digestOfText(`${at}`)))),
        entriesByTag: await perLookUp((at) => writer.findEntries(REPO, readReference(`tag-${at}`))),
        entriesByDigest: await perLookUp((at) =>
          writer.findEntries(REPO, readReference(digestOfText(`${at}`))),
        ),
        tags: await perLookUp((at) => reader.listTags(REPO, { after: `tag-${at}`, limit: 10 })),
        referrers: await perLookUp((at) =>
          reader.listReferrers(REPO, digestOfText(`${at}`), { after: '', limit: 1000, artifactTypes: [] }),
        ),
        mediaType: await perLookUp(() => reader.findBlobMediaType(REPO, digestOfText('layer of base'))),
        references: await perLookUp((at) => writer.listReferences(REPO, digestOfText(`${at}`))),
        referencing: await perLookUp(() =>
          writer.listReferencing(REPO, digestOfText('layer of base'), { roles: ['layer'], limit: 1 }),
        ),
        catalog: await perLookUp(() => reader.listRepositories({ after: '', limit: 1000 })),
      };
      // Walking through the whole repository takes more than ten times as long.
      for (const [what, costMs] of Object.entries(costs)) assert.ok(costMs < 3, `${what} takes ${costMs} ms`);
    });

    test('takes a push as fast as a small one, and is removed without holding others up', async () => {
      const startedMs = performance.now();
      for (let at = 0; at < 100; at += 1) {
        const pushed = image(`pushed ${at}`);
        const addedEntries = [entry(COUNT + at, pushed, `tag-${at}`)];
        await index.writer.applyChanges([
          change({ removedPositions: [at], addedEntries, addedManifests: [pushed] }),
        ]);
      }
      assert.ok((performance.now() - startedMs) / 100 < 20);
      await index.writer.removeRepository(REPO);
      assert.deepEqual(await reader.listRepositories({ after: '', limit: 1000 }), []);
    });
  });
}
