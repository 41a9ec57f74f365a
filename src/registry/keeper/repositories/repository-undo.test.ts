/** Whole repositories where removals can be undone, and where tags are immutable. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { parseTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import { childOf, openKeeper, pushOf } from '../../../../test/support/opened-keeper.ts';
import type { OpenedKeeper } from '../../../../test/support/opened-keeper.ts';
import type { TagRules } from '../tags/tag-rules.ts';

const TARGET = parseRepoName('unit/renamed');
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const V1 = parseTag('v1');

const UNDO: TagRules = {
  undoMs: () => 3_600_000,
  shortestUndoMs: 3_600_000,
  guards: () => false,
  immutability: () => null,
};

async function withRules(rules: TagRules, work: (opened: OpenedKeeper) => Promise<void>): Promise<void> {
  const opened = await openKeeper();
  opened.keeper.tags.use(rules);
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

async function pushImage(opened: OpenedKeeper): Promise<ReturnType<typeof pushOf>> {
  const { keeper, repo } = opened;
  const config = await opened.putBlob('{}', CONFIG);
  const push = pushOf(repo, { config, layers: [] }, ['v1', 'v2']);
  await keeper.pushManifest(push);
  return push;
}

const isDenied = (error: unknown): boolean =>
  error instanceof RegistryError && error.code === 'DENIED' && error.status === 409;

describe('a whole repository', { timeout: 60_000 }, () => {
  test('that is removed can be undone, tag by tag; to everybody else it is gone', async () => {
    await withRules(UNDO, async (opened) => {
      const { keeper, repo, index, storage } = opened;
      const image = await pushImage(opened);
      const list = pushOf(repo, { manifests: [childOf(image)] }, ['all']);
      await keeper.pushManifest(list);
      await keeper.removeRepository(repo, 'alice');
      assert.deepEqual(await index.listRepositories({ after: '', limit: 10 }), []);
      assert.equal(await index.findManifest(repo, { kind: 'digest', digest: image.digest }), null);
      const config = image.projection.references[0]?.digest ?? image.digest;
      assert.notEqual(await index.whyAbsent(repo, config), null);
      assert.notEqual(await storage.repository(repo).statBlob(config), null);
      const range = { beforeMs: Infinity, sinceMs: -1, digest: null, limit: 10 };
      const events = (await keeper.tags.events(repo, parseTag('all'), range))?.events ?? [];
      assert.deepEqual(
        events.map(({ kind, by }) => [kind, by]),
        [
          ['manifestDeleted', 'alice'],
          ['created', ''],
        ],
      );
      await keeper.tags.restore({ repo, tag: parseTag('all'), digest: null, atMs: null, by: '' });
      const found = await index.findManifest(repo, { kind: 'tag', tag: parseTag('all') });
      assert.equal(found?.digest, list.digest);
      assert.equal(await index.whyAbsent(repo, config), null);
    });
  });

  test('takes its history and what is held along when it is renamed', async () => {
    await withRules(UNDO, async (opened) => {
      const { keeper, repo, index, storage } = opened;
      const image = await pushImage(opened);
      await keeper.deleteManifest(repo, { kind: 'digest', digest: image.digest }, 10);
      await keeper.pushManifest(pushOf(repo, { manifests: [] }, ['other']));
      await keeper.renameRepository(repo, TARGET);
      assert.equal(await storage.repository(repo).statBlob(image.digest), null, 'absent bytes are left');
      assert.equal(await keeper.tags.isHeld(repo, image.digest), false);
      await keeper.tags.restore({ repo: TARGET, tag: V1, digest: null, atMs: null, by: '' });
      const found = await index.findManifest(TARGET, { kind: 'tag', tag: V1 });
      assert.equal(found?.digest, image.digest);
    });
  });

  test('keeps what is held when it is renamed to where undo is off', async () => {
    const rules: TagRules = { ...UNDO, undoMs: (repo) => (repo === TARGET ? 0 : 3_600_000) };
    await withRules(rules, async (opened) => {
      const { keeper, repo, storage } = opened;
      assert.equal(await keeper.tags.isHeld(TARGET, digestOf(Buffer.from('nothing'))), false);
      const image = await pushImage(opened);
      await keeper.deleteManifest(repo, { kind: 'digest', digest: image.digest }, 10);
      await keeper.pushManifest(pushOf(repo, { manifests: [] }, ['other']));
      await keeper.renameRepository(repo, TARGET);
      assert.equal(await keeper.tags.isHeld(TARGET, image.digest), true);
      assert.notEqual(await storage.repository(TARGET).statBlob(image.digest), null);
    });
  });

  test('may take the name of one that was removed, whose bytes still wait', async () => {
    await withRules(UNDO, async (opened) => {
      const { keeper, repo, index, storage } = opened;
      const image = await pushImage(opened);
      await keeper.renameRepository(repo, TARGET);
      await keeper.removeRepository(TARGET, '');
      await pushImage(opened);
      await keeper.renameRepository(repo, TARGET);
      const config = image.projection.references[0]?.digest ?? image.digest;
      for (const digest of [config, image.digest]) {
        assert.equal(await index.whyAbsent(TARGET, digest), null);
        assert.notEqual(await storage.repository(TARGET).statBlob(digest), null);
      }
      assert.deepEqual(await index.listTags(TARGET, { after: '', limit: 10 }), ['v1', 'v2']);
    });
  });

  test('with an immutable tag keeps its name and stays', async () => {
    const rules = { ...UNDO, guards: () => true };
    for (const deletable of [true, false]) {
      const immutability: TagRules['immutability'] = (_repo, tag) => (tag === V1 ? { deletable } : null);
      await withRules({ ...rules, immutability }, async (opened) => {
        const { keeper, repo, index } = opened;
        await pushImage(opened);
        if (deletable) return void (await keeper.renameRepository(repo, TARGET));
        await assert.rejects(keeper.removeRepository(repo, ''), isDenied);
        await assert.rejects(keeper.renameRepository(repo, TARGET), isDenied);
        assert.deepEqual(await index.listTags(repo, { after: '', limit: 10 }), ['v1', 'v2']);
      });
    }
  });
});
