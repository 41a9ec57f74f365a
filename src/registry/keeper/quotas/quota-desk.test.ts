import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import { parseRepoPrefix } from '#oci/repo-prefix';
import { newUploadId } from '#oci/upload-id';
import { RegistryError } from '#registry';
import { childOf, openKeeper, pushOf } from '../../../../test/support/opened-keeper.ts';
import type { OpenedKeeper } from '../../../../test/support/opened-keeper.ts';

const APP = parseRepoName('team/app');
const WEB = parseRepoName('team/web');

/** A keeper whose team may hold `maxBytes`. */
async function withQuota(maxBytes: number, work: (opened: OpenedKeeper) => Promise<void>): Promise<void> {
  const opened = await openKeeper();
  const prefix = parseRepoPrefix('team');
  assert.ok(prefix !== null);
  await opened.keeper.quotas.open([{ prefix, maxBytes }]);
  await opened.keeper.quotas.compare([prefix]);
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

async function standing({ keeper }: OpenedKeeper): Promise<readonly [used: number, reserved: number]> {
  const [status] = await keeper.quotaStatus();
  return [status?.usedBytes ?? -1, status?.reservedBytes ?? -1];
}

/** Pushes a blob as a serving process does: claim, room, bytes, name. */
async function pushBlob(opened: OpenedKeeper, repo: typeof APP, text: string): Promise<void> {
  const { keeper, storage } = opened;
  const bytes = Buffer.from(text);
  const upload = { repo, id: newUploadId() };
  await keeper.claimUpload(upload, () => undefined);
  try {
    await keeper.reserveUpload(upload, bytes.length, bytes.length);
    const { writer } = await storage.repository(repo).startUploadWriter('sha256', upload.id);
    await writer.append(Buffer.from(bytes));
    await writer.flush();
    await writer.close();
    await keeper.finishUpload(upload, { digest: digestOf(bytes), sizeBytes: bytes.length });
  } catch (error) {
    await storage.repository(repo).cancelUpload(upload.id);
    await keeper.releaseUpload(upload, null);
    throw error;
  }
}

const isRefusal = (error: unknown): boolean =>
  error instanceof RegistryError && error.code === 'DENIED' && error.status === 403;

describe('a quota', { timeout: 60_000 }, () => {
  test('admits exactly what fits, however many ask at once', async () => {
    await withQuota(1000, async (opened) => {
      const pushes = Array.from({ length: 60 }, (_, at) => pushBlob(opened, APP, `${at}`.padEnd(100, 'x')));
      const outcomes = await Promise.allSettled(pushes);
      const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
      assert.equal(refused.length, 50);
      for (const { reason } of refused) assert.ok(isRefusal(reason), String(reason));
      assert.deepEqual(await standing(opened), [1000, 0]);
    });
  });

  test('counts equal blobs once, also those that are pushed at once', async () => {
    await withQuota(250, async (opened) => {
      const text = 'same'.padEnd(100, '.');
      await Promise.all([pushBlob(opened, APP, text), pushBlob(opened, WEB, text)]);
      assert.deepEqual(await standing(opened), [100, 0]);
    });
  });

  test('promises nothing twice when a blob that a mount relies on is deleted meanwhile', async () => {
    await withQuota(100, async (opened) => {
      const { keeper } = opened;
      const text = 'shared'.padEnd(100, '.');
      const digest = digestOf(Buffer.from(text));
      await pushBlob(opened, APP, text);
      const mounted = keeper.mountBlob(WEB, APP, digest);
      const deleted = keeper.deleteBlob(APP, digest);
      const pushed = pushBlob(opened, WEB, 'other'.padEnd(60, '.')).catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
      });
      await Promise.all([mounted, deleted, pushed]);
      const [used, reserved] = await standing(opened);
      assert.ok(used <= 100, `${used} bytes`);
      assert.equal(reserved, 0);
    });
  });

  test('keeps what was promised when the limit becomes lower', async () => {
    await withQuota(100, async (opened) => {
      const { keeper } = opened;
      const upload = { repo: APP, id: newUploadId() };
      await keeper.claimUpload(upload, () => undefined);
      assert.equal(await keeper.reserveUpload(upload, 80, 80), 80);
      const prefix = parseRepoPrefix('team');
      assert.ok(prefix !== null);
      const prepared = await keeper.quotas.prepare([{ prefix, maxBytes: 10 }]);
      await prepared.commit();
      assert.equal(await keeper.reserveUpload(upload, 80, 80), 80);
      await assert.rejects(keeper.reserveUpload(upload, 81, 81), isRefusal);
      // Nothing was written: with the claim the promise ends.
      await keeper.releaseUpload(upload, null);
      assert.deepEqual(await standing(opened), [0, 0]);
    });
  });

  test('lets an upload of unknown length ask ahead only where plenty is left', async () => {
    await withQuota(1000, async (opened) => {
      const { keeper } = opened;
      const one = { repo: APP, id: newUploadId() };
      assert.equal(await keeper.reserveUpload(one, 100, 500), 114);
      assert.equal(await keeper.reserveUpload(one, 990, 2000), 990);
      const two = { repo: WEB, id: newUploadId() };
      await assert.rejects(keeper.reserveUpload(two, 11, 11), isRefusal);
      assert.equal(await keeper.reserveUpload(two, 10, 10), 10);
      await assert.rejects(keeper.reserveUpload({ repo: WEB, id: newUploadId() }, 0, 0), isRefusal);
    });
  });

  test('counts manifests, and lets those that are there get more tags when it is full', async () => {
    await withQuota(2000, async (opened) => {
      const { keeper } = opened;
      await pushBlob(opened, APP, '{}');
      const config = {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: digestOf(Buffer.from('{}')),
        size: 2,
      };
      const push = pushOf(APP, { config, layers: [] }, ['one']);
      await keeper.pushManifest(push);
      const [used] = await standing(opened);
      assert.equal(used, 2 + push.bytes.length);
      await pushBlob(opened, APP, 'f'.repeat(2000 - used));
      await keeper.pushManifest(pushOf(APP, { config, layers: [] }, ['two']));
      const list = pushOf(APP, { manifests: [childOf(push)] }, ['list']);
      await assert.rejects(keeper.pushManifest(list), isRefusal);
      assert.deepEqual(await standing(opened), [2000, 0]);
    });
  });
});

test('a quota counts what is held until it is purged', { timeout: 30_000 }, async () => {
  await withQuota(5000, async (opened) => {
    const { keeper, repo } = opened;
    keeper.tags.use({
      undoMs: () => 3_600_000,
      shortestUndoMs: 3_600_000,
      guards: () => false,
      immutability: () => null,
    });
    await pushBlob(opened, APP, '{}');
    const config = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: digestOf(Buffer.from('{}')),
      size: 2,
    };
    const push = pushOf(APP, { config, layers: [] }, ['one']);
    await keeper.pushManifest(push);
    const before = await standing(opened);
    await keeper.deleteManifest(APP, { kind: 'digest', digest: push.digest }, 10);
    assert.deepEqual(await standing(opened), before, `${repo}: what can be undone counts`);
    await keeper.tags.purge({ repo: APP, reference: { kind: 'digest', digest: push.digest }, by: '' });
    assert.deepEqual(await standing(opened), [0, 0]);
  });
});

test(
  'what another tool changes while its repository is compared is counted too',
  { timeout: 30_000 },
  async () => {
    await withQuota(1000, async (opened) => {
      const { keeper, index, storage } = opened;
      await pushBlob(opened, APP, 'one');
      const late = Buffer.from('late');
      const listBlobs = index.listBlobs.bind(index);
      let compared = 0;
      // Asked for when the folder has been gone through.
      index.listBlobs = async (repo, page) => {
        compared += 1;
        if (compared === 1) {
          await storage.repository(APP).putManifest(digestOf(late), late);
          keeper.quotas.noteOutsideChange(APP);
        }
        return listBlobs(repo, page);
      };
      keeper.quotas.noteOutsideChange(APP);
      await keeper.quotas.settled();
      await keeper.quotas.settled();
      assert.ok(compared > 1);
      assert.deepEqual(await standing(opened), [7, 0]);
    });
  },
);

test(
  'a quota that comes back is exact only when its files could be looked at again',
  { timeout: 30_000 },
  async () => {
    await withQuota(1000, async ({ keeper, storage }) => {
      const [status] = await keeper.quotaStatus();
      assert.ok(status?.isExact);
      const { prefix, maxBytes } = status;
      await (await keeper.quotas.prepare([])).commit();
      const folders = storage.folders.bind(storage);
      storage.folders = (report) => {
        report('team/app', new Error('EIO'));
        return folders(report);
      };
      await (await keeper.quotas.prepare([{ prefix, maxBytes }])).commit();
      assert.deepEqual(
        (await keeper.quotaStatus()).map(({ isExact }) => isExact),
        [false],
      );
    });
  },
);
