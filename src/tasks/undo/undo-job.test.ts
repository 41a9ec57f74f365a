import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { NO_TAG_RULES } from '#registry';
import type { TagRules } from '#registry';
import { CollectedRegistry, DELAY_MS } from '../../../test/faults/gc/collected-registry.ts';
import { contentOf, imageOf } from '../../../test/faults/support/images.ts';
import { MemoryDriver } from '../../storage/drivers/memory.ts';
import { bodyOf } from '../../../test/faults/gc/actor.ts';
import { parseDigest } from '#oci/digest';
import { undoJob } from './undo-job.ts';

const HOUR_MS = DELAY_MS;
const SHORT = parseRepoName('short/app');
const LONG = parseRepoName('long/app');
const rulesOf = (times: Readonly<Record<string, number>>): TagRules => {
  const positive = Object.values(times).filter((timeMs) => timeMs > 0);
  const shortestUndoMs = positive.length === 0 ? null : Math.min(...positive);
  return { ...NO_TAG_RULES, undoMs: (repo) => times[repo] ?? 0, shortestUndoMs };
};

let collected: CollectedRegistry;
const layer = contentOf(Buffer.from('layer'));
const image = imageOf([layer], 'image');
beforeEach(async () => {
  collected = await CollectedRegistry.open(() => new MemoryDriver());
  const { keeper, registry } = collected.opened;
  keeper.tags.use(rulesOf({ [SHORT]: 2 * HOUR_MS, [LONG]: 50 * HOUR_MS }));
  for (const repo of [SHORT, LONG]) {
    for (const { digest, bytes } of [layer, ...image.blobs])
      await registry.uploads.pushWhole(repo, parseDigest(digest), { source: bodyOf(bytes) });
    const { mediaType, bytes, digest } = image.manifest;
    await registry.pushManifest({ repo, reference: readReference('v1'), mediaType, bytes, tags: [] });
    await registry.deleteManifest(repo, readReference(digest));
  }
});
afterEach(() => collected.remove());

const held = async (): Promise<string[]> => {
  const { history } = collected.opened.records;
  const holds = await history.listHolds({ beforeMs: Infinity, after: null, limit: 100 });
  return [...new Set(holds.map(({ repo }) => repo))].toSorted();
};
const gone = async (): Promise<string[]> => {
  const { history } = collected.opened.records;
  const tags = await history.listGone({ beforeMs: Infinity, after: null, limit: 100 });
  return tags.map(({ repo }) => repo).toSorted();
};

const parts = () => {
  const { clock, keeper, index } = collected.parts();
  return { clock, keeper, index };
};
async function round(job: ReturnType<typeof undoJob>): Promise<void> {
  const context = { signal: new AbortController().signal, pause: async (): Promise<void> => undefined };
  for await (const task of job.tasks(context)) await task.run(context);
}

describe('what can no longer be undone', () => {
  test('ends by the time of its own store, holds and histories alike', async () => {
    const job = undoJob(parts());
    assert.equal(job.intervalMs, 600_000);
    await round(job);
    assert.deepEqual(await held(), [LONG, SHORT]);
    collected.clock.advance(3 * HOUR_MS);
    await round(job);
    assert.deepEqual([await held(), await gone()], [[LONG], [LONG]]);
    assert.match(job.summary?.() ?? '', /^3 holds and the histories of 1 tags/);
    await collected.collectAll();
    const { storage } = collected.opened;
    assert.deepEqual(await Array.fromAsync(storage.repository(SHORT).listBlobs()), []);
    assert.equal((await Array.fromAsync(storage.repository(LONG).listBlobs())).length, 3);
  });

  test('is not hurried by a clock that is set forward, nor kept by one that is set back', async () => {
    const job = undoJob(parts());
    await round(job);
    collected.clock.jump(1000 * HOUR_MS);
    await round(job);
    assert.deepEqual(await held(), [LONG, SHORT]);
    collected.clock.jump(-2000 * HOUR_MS);
    await round(job);
    collected.clock.advance(2 * HOUR_MS);
    await round(job);
    assert.deepEqual(await held(), [LONG]);
  });

  test('ends at the start where undo was switched off, and only there', async () => {
    collected.opened.keeper.tags.use(rulesOf({ [LONG]: 50 * HOUR_MS }));
    await round(undoJob(parts()));
    assert.deepEqual(await held(), [LONG]);
    collected.opened.keeper.tags.use(NO_TAG_RULES);
    // Until then nothing is taken away, whoever collects.
    await collected.collectAll();
    assert.equal((await Array.fromAsync(collected.opened.storage.repository(LONG).listBlobs())).length, 3);
    const job = undoJob(parts());
    assert.equal(job.intervalMs, 0);
    await round(job);
    assert.deepEqual([await held(), await gone()], [[], []]);
    await collected.collectAll();
    assert.deepEqual(await Array.fromAsync(collected.opened.storage.repository(LONG).listBlobs()), []);
  });
});
