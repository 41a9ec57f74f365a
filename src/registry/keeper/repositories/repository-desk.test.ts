import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '#oci/digest';
import { parseTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import { openKeeper, pushOf } from '../../../../test/support/opened-keeper.ts';
import type { OpenedKeeper } from '../../../../test/support/opened-keeper.ts';

const TARGET = parseRepoName('unit/renamed');
const CONFIG = 'application/vnd.oci.image.config.v1+json';

async function withImage(work: (opened: OpenedKeeper, digest: Digest) => Promise<void>): Promise<void> {
  const opened = await openKeeper();
  try {
    const config = await opened.putBlob('{}', CONFIG);
    const push = pushOf(opened.repo, { config, layers: [] }, ['one', 'two']);
    await opened.keeper.pushManifest(push);
    await work(opened, push.digest);
  } finally {
    await opened.close();
  }
}

const isCode = (code: string) => (error: unknown) => error instanceof RegistryError && error.code === code;

describe('a whole repository', { timeout: 60_000 }, () => {
  test('keeps its counts and times when it is renamed; the old name has none', async () => {
    await withImage(async ({ keeper, repo, records }, digest) => {
      await keeper.addPulls([{ repo, digest, pulls: 3, lastPullMs: 5000 }]);
      await keeper.renameRepository(repo, TARGET);
      const { pulls, lastPullMs, firstPushMs } = await records.statistics(TARGET, digest);
      assert.deepEqual([pulls, lastPullMs], [3, 5000]);
      assert.ok(firstPushMs !== null);
      assert.ok((await records.tagSinceMs(TARGET, parseTag('two'))) !== null);
      assert.equal((await records.statistics(repo, digest)).pulls, 0);
      assert.equal(await records.tagSinceMs(repo, parseTag('two')), null);
      assert.deepEqual(await records.moves.list(), []);
    });
  });

  test('takes nothing over from an earlier life of its new name', async () => {
    await withImage(async ({ keeper, repo, records }, digest) => {
      await records.addPulls([{ repo: TARGET, digest, pulls: 40, lastPullMs: 9000 }]);
      await keeper.renameRepository(repo, TARGET);
      assert.equal((await records.statistics(TARGET, digest)).pulls, 0);
    });
  });

  test('keeps what is damaged known as damaged', async () => {
    await withImage(async ({ keeper, repo, index, records }, digest) => {
      const kind = 'wrong-digest' as const;
      const damage = { repo, digest, kind, version: 'v', detail: 'other bytes', foundMs: 1000 };
      await keeper.damage.add([damage]);
      await keeper.renameRepository(repo, TARGET);
      for (const list of [index, records.damage])
        assert.deepEqual(await list.findDamage(TARGET, digest), { ...damage, repo: TARGET });
    });
  });

  test('keeps its buried blobs buried', async () => {
    await withImage(async (opened) => {
      const { keeper, repo, index } = opened;
      const { digest } = await opened.putBlob('about to go');
      await index.addTombstones([{ repo, digest, sinceMs: 7000, modifiedMs: 10 }]);
      await keeper.renameRepository(repo, TARGET);
      assert.equal((await index.findTombstone(TARGET, digest))?.sinceMs, 7000);
    });
  });

  test('takes changes again under both names, of what is there now', async () => {
    await withImage(async ({ keeper, repo, index, storage, store }) => {
      await keeper.renameRepository(repo, TARGET);
      await keeper.pushManifest(pushOf(repo, { manifests: [] }, ['fresh']));
      await keeper.pushManifest(pushOf(TARGET, { manifests: [] }, ['more']));
      const tagsOf = (name: typeof repo) => index.listTags(name, { after: '', limit: 10 });
      assert.deepEqual(await tagsOf(repo), ['fresh']);
      assert.deepEqual(await tagsOf(TARGET), ['more', 'one', 'two']);
      const text = String((await store.readIndex())?.bytes);
      assert.equal((JSON.parse(text) as { manifests: unknown[] }).manifests.length, 1);
      const target = String((await storage.repository(TARGET).readIndex())?.bytes);
      assert.equal((JSON.parse(target) as { manifests: unknown[] }).manifests.length, 3);
    });
  });

  test('is removed with its counts; its name begins anew', async () => {
    await withImage(async ({ keeper, repo, records, index, storage }, digest) => {
      await keeper.addPulls([{ repo, digest, pulls: 3, lastPullMs: 5000 }]);
      const outcome = await keeper.removeRepository(repo);
      assert.deepEqual(outcome, { blobs: 2, uploads: 0 });
      assert.equal((await records.statistics(repo, digest)).pulls, 0);
      assert.equal(await records.tagSinceMs(repo, parseTag('one')), null);
      assert.equal(await index.findRepository(repo), null);
      assert.ok(await storage.repository(repo).holdsNothing());
      await keeper.pushManifest(pushOf(repo, { manifests: [] }, ['fresh']));
      assert.deepEqual(await index.listTags(repo, { after: '', limit: 10 }), ['fresh']);
      await assert.rejects(keeper.removeRepository(TARGET), isCode('NAME_UNKNOWN'));
    });
  });

  test('is left alone by notes of before, of another life of its name', async () => {
    await withImage(async ({ keeper, repo, records, index }) => {
      for (const target of [null, TARGET]) {
        await records.moves.begin({ repo, target, version: '12 1000' });
        assert.deepEqual(await keeper.repositories.resume(), []);
        assert.deepEqual(await records.moves.list(), []);
        assert.deepEqual(await index.listTags(repo, { after: '', limit: 10 }), ['one', 'two']);
      }
    });
  });

  test('is renamed once when two ask at once, and waits for pushes under way', async () => {
    await withImage(async ({ keeper, repo, index }) => {
      const other = parseRepoName('unit/other');
      const pushes = [1, 2, 3].map((at) => keeper.pushManifest(pushOf(repo, { manifests: [] }, [`p${at}`])));
      const renames = [keeper.renameRepository(repo, TARGET), keeper.renameRepository(repo, other)];
      const outcomes = await Promise.allSettled(renames);
      await Promise.all(pushes);
      assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
      const winner = outcomes[0]?.status === 'fulfilled' ? TARGET : other;
      const tags = await index.listTags(winner, { after: '', limit: 10 });
      assert.deepEqual(tags, ['one', 'p1', 'p2', 'p3', 'two']);
    });
  });
});
