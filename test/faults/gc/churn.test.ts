/** Tags that are replaced all the time: what a sweep changes together, and what it does when it is behind. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseDigest } from '#oci/digest';
import { readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { StorageDriver } from '#storage';
import { gcJob } from '#tasks';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { contentOf, imageOf, indexOf } from '../support/images.ts';
import type { Content, Manifest } from '../support/images.ts';
import { bodyOf } from './actor.ts';
import { CollectedRegistry, DELAY_MS, settings } from './collected-registry.ts';

const REPO = parseRepoName('team/churn');
const IMAGES = 100;
/** Each with a config and a layer. */
const FILES = 3;
/** What is changed together at most. */
const TOGETHER = 16;

describe('under replaced tags', { timeout: 60_000 }, () => {
  let collected: CollectedRegistry;
  /** Times that index.json was replaced. */
  let rewrites = 0;

  before(async () => {
    collected = await CollectedRegistry.open(() => countingDriver(() => (rewrites += 1)));
  });
  after(() => collected.remove());

  async function put(manifest: Manifest, blobs: readonly Content[], tag: string | null): Promise<void> {
    const { registry } = collected.opened;
    for (const { bytes, digest } of blobs) {
      const upload = { repo: REPO, id: await registry.uploads.start(REPO) };
      await registry.uploads.finish(upload, parseDigest(digest), { source: bodyOf(bytes) });
    }
    const reference = readReference(tag ?? manifest.digest);
    const { mediaType, bytes } = manifest;
    await registry.pushManifest({ repo: REPO, reference, mediaType, bytes, tags: [] });
  }

  async function replaceTags(round: string): Promise<void> {
    for (let at = 0; at < IMAGES; at += 1) {
      const { manifest, blobs } = imageOf([contentOf(Buffer.from(`layer ${round} ${at}`))], `${round} ${at}`);
      await put(manifest, blobs, 'latest');
    }
  }

  async function files(): Promise<number> {
    const found = await Array.fromAsync(collected.opened.storage.repository(REPO).listBlobs());
    return found.length;
  }

  /** One round of the job; gives how urgent it was at each of its pauses. */
  async function round(): Promise<{ urgencies: number[]; summary: string }> {
    const job = gcJob({ ...collected.parts(), settings: { ...settings, intervalMs: DELAY_MS } });
    const urgencies: number[] = [];
    const pause = async (): Promise<void> => void urgencies.push(job.urgency?.() ?? NaN);
    const context = { signal: new AbortController().signal, pause };
    for await (const task of job.tasks(context)) await task.run(context);
    return { urgencies, summary: job.summary?.() ?? '' };
  }

  test('many manifests leave index.json in few rewrites, and all bytes go', async () => {
    await replaceTags('first');
    collected.clock.advance(DELAY_MS * 1.1);
    rewrites = 0;
    const { manifests, buried } = await collected.sweep();
    assert.deepEqual([manifests, buried], [IMAGES - 1, (IMAGES - 1) * FILES]);
    assert.ok(rewrites <= Math.ceil((IMAGES * FILES) / TOGETHER) + 1, `${rewrites} rewrites`);
    collected.clock.advance(DELAY_MS * 1.1);
    assert.equal((await collected.sweep()).blobs, (IMAGES - 1) * FILES);
    assert.equal(await files(), FILES);
  });

  test('what is judged beside the index that lists it, at the same age, is not forgotten', async () => {
    const images = ['one', 'two'].map((label) => imageOf([contentOf(Buffer.from(label))], label));
    for (const { manifest, blobs } of images) await put(manifest, blobs, null);
    await put(indexOf(images.map(({ manifest }) => manifest)), [], null);
    await collected.collectAll();
    assert.equal(await files(), FILES);
  });

  test('a collection in the course of things does not hurry', async () => {
    await replaceTags('second');
    for (const advance of [1.1, 1.1]) {
      collected.clock.advance(DELAY_MS * advance);
      const { urgencies, summary } = await round();
      assert.ok(urgencies.length > 0 && urgencies.every((urgency) => urgency === 0), urgencies.join(' '));
      assert.doesNotMatch(summary, /behind/);
    }
    assert.equal(await files(), FILES);
  });

  test('one that is behind hurries and says so, until it has caught up', async () => {
    await replaceTags('third');
    collected.clock.advance(DELAY_MS * 5);
    const late = await round();
    assert.equal(Math.max(...late.urgencies), 1);
    assert.match(late.summary, / \d+ s behind$/);
    collected.clock.advance(DELAY_MS * 1.1);
    const { urgencies } = await round();
    assert.ok(urgencies.length > 0 && urgencies.every((urgency) => urgency === 0), urgencies.join(' '));
    assert.equal(await files(), FILES);
  });
});

/** Memory that tells when an index.json is replaced. */
function countingDriver(onRewrite: () => void): StorageDriver {
  const driver = new MemoryDriver();
  const put = driver.put.bind(driver);
  driver.put = (...args) => {
    if (args[0].endsWith('index.json')) onRewrite();
    return put(...args);
  };
  return driver;
}
