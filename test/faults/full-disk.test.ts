/**
 * C8, on a file system that is really full: pushes are refused with 507, reads and deletes go on, index.json is whole
 * all the time, a restart serves what is there, and once there is room again everything works as before. The
 * databases are on the same disk.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { eventually } from './support/eventually.ts';
import { imageOf, randomContent } from './support/images.ts';
import { IndexWatcher } from './support/index-watcher.ts';
import { readLayouts } from './support/layout-truth.ts';
import { BLOB_WAYS, pushBlob, pushImage, pushManifest } from './support/pushing.ts';
import { RegistryClient } from './support/registry-client.ts';
import type { Answer } from './support/registry-client.ts';
import { answersOf, fillRepository } from './support/sample-folder.ts';
import type { SampleRepository } from './support/sample-folder.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { remarks } from './support/server-processes.ts';
import { seed } from './support/settings.ts';
import { SmallDisk } from './support/small-disk.ts';

const DISK_MEGABYTES = 16;
const REPO = 'library/app';

interface Scene {
  readonly disk: SmallDisk;
  readonly root: string;
  readonly samples: readonly SampleRepository[];
  readonly expected: Record<string, string>;
  server: RunningServer;
  client: RegistryClient;
  restart(how: 'kill' | 'stop'): Promise<void>;
}

/** A small disk with a server on it that holds two repositories; the disk is not full yet. */
async function onSmallDisk(
  context: TestContext,
  options: {
    workers?: number;
    storage?: Record<string, unknown>;
    log?: (root: string) => Record<string, unknown>;
  },
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  const disk = await SmallDisk.mount(DISK_MEGABYTES);
  if (typeof disk === 'string') return context.skip(disk);
  const root = join(disk.folder, 'data');
  const config = {
    http: { workers: options.workers ?? 1 },
    storage: { minFreeSpace: 0, ...options.storage },
    ...(options.log === undefined ? {} : { log: options.log(disk.folder) }),
  };
  const server = await startServer({ root, config });
  const watcher = new IndexWatcher(root, [REPO, 'team']);
  const samples = [await fillRepository(server.url, REPO), await fillRepository(server.url, 'team')];
  const scene: Scene = {
    disk,
    root,
    samples,
    expected: await answersOf(server.url, samples),
    server,
    client: new RegistryClient(server.url),
    restart: async (how) => {
      scene.client.close();
      if (how === 'kill') await scene.server.kill();
      await scene.server.stop();
      scene.server = await startServer({ root, config });
      scene.client = new RegistryClient(scene.server.url);
    },
  };
  try {
    await work(scene);
  } finally {
    scene.client.close();
    await scene.server.kill();
    await scene.server.stop();
    const seen = await watcher.stop();
    await disk.unmount();
    assert.deepEqual(seen, []);
  }
}

function requireRefused(answer: Answer, scene: Scene): void {
  const what = `${answer.status} ${answer.body.toString()}\n${remarks(scene.server.stdout())}`;
  assert.equal(answer.status, 507, what);
  assert.ok(answer.headers['retry-after'], what);
}

async function requireUnchanged(scene: Scene): Promise<void> {
  assert.deepEqual(await answersOf(scene.server.url, scene.samples), scene.expected);
  assert.deepEqual((await readLayouts(scene.root)).faults, []);
}

const random = new SeededRandom(seed);

describe('a full disk', { timeout: 120_000 }, () => {
  for (const workers of [1, 2]) {
    test(`refuses pushes and serves reads, and works again when there is room: workers ${workers}`, async (context) => {
      await onSmallDisk(context, { workers }, async (scene) => {
        await scene.disk.fill();
        const blob = randomContent(random, 200_000);
        for (const way of BLOB_WAYS) requireRefused(await pushBlob(scene.client, REPO, blob, way), scene);
        const image = imageOf([scene.samples[0]?.loose ?? assert.fail()], 'pushed to a full disk');
        requireRefused(
          await pushManifest(scene.client, REPO, scene.samples[0]?.index ?? assert.fail(), 'new'),
          scene,
        );
        await requireUnchanged(scene);
        await scene.disk.free();
        await pushImage(scene.client, REPO, image, 'new');
        assert.equal((await pushBlob(scene.client, REPO, blob)).status, 201);
        const deleted = await scene.client.send('DELETE', `/v2/${REPO}/manifests/${image.manifest.digest}`);
        assert.equal(deleted.status, 202);
        await requireUnchanged(scene);
      });
    });
  }

  test('below the watermark refuses pushes and goes on deleting', async (context) => {
    await onSmallDisk(context, { storage: { minFreeSpace: '4MiB' } }, async (scene) => {
      await scene.disk.fill(3 * 1024 * 1024);
      // A look at the free space is trusted for a second.
      await eventually(async () => {
        requireRefused(await scene.client.send('POST', `/v2/${REPO}/blobs/uploads/`), scene);
      }, 5000);
      for (const way of BLOB_WAYS) {
        requireRefused(await pushBlob(scene.client, REPO, randomContent(random, 1000), way), scene);
      }
      requireRefused(
        await pushManifest(scene.client, REPO, scene.samples[0]?.index ?? assert.fail(), 'new'),
        scene,
      );
      await requireUnchanged(scene);
      for (const reference of [
        'all',
        scene.samples[0]?.index.digest,
        scene.samples[0]?.image.manifest.digest,
      ]) {
        const answer = await scene.client.send('DELETE', `/v2/${REPO}/manifests/${reference}`);
        assert.equal(answer.status, 202, answer.body.toString());
      }
      const loose = scene.samples[0]?.loose.digest;
      assert.equal((await scene.client.send('DELETE', `/v2/${REPO}/blobs/${loose}`)).status, 202);
    });
  });

  test('without a byte left goes on deleting what needs no room, and answers the rest with 507', async (context) => {
    await onSmallDisk(context, {}, async (scene) => {
      await scene.disk.fill();
      const answers: string[] = [];
      for (const path of ['manifests/latest', 'manifests/other', `blobs/${scene.samples[0]?.loose.digest}`]) {
        const answer = await scene.client.send('DELETE', `/v2/${REPO}/${path}`);
        assert.ok([202, 507].includes(answer.status), answer.body.toString());
        const gone = (await scene.client.send('GET', `/v2/${REPO}/${path}`)).status === 404;
        assert.equal(gone, answer.status === 202, `${path} was answered with ${answer.status}`);
        answers.push(`${path.slice(0, 9)} ${answer.status}`);
      }
      context.diagnostic(answers.join(', '));
      await scene.disk.free();
      for (const path of ['manifests/latest', 'manifests/other', `blobs/${scene.samples[0]?.loose.digest}`]) {
        const answer = await scene.client.send('DELETE', `/v2/${REPO}/${path}`);
        assert.ok([202, 404].includes(answer.status), answer.body.toString());
      }
      assert.deepEqual((await readLayouts(scene.root)).faults, []);
    });
  });

  for (const how of ['kill', 'stop'] as const) {
    test(`is served again after a ${how} and a start`, async (context) => {
      await onSmallDisk(context, {}, async (scene) => {
        await scene.disk.fill();
        await scene.restart(how);
        await requireUnchanged(scene);
        requireRefused(await pushBlob(scene.client, REPO, randomContent(random, 200_000)), scene);
        await scene.disk.free();
        assert.equal((await pushBlob(scene.client, REPO, randomContent(random, 2000))).status, 201);
        await requireUnchanged(scene);
      });
    });
  }

  test('that fills up under eight clients loses nothing that was acknowledged', async (context) => {
    await onSmallDisk(context, {}, async (scene) => {
      const acknowledged: { tag: string; digest: string }[] = [];
      const wrong: string[] = [];
      const seeds = Array.from({ length: 8 }, () => random.below(2 ** 30));
      await Promise.all(
        seeds.map(async (clientSeed, at) => {
          const own = new SeededRandom(clientSeed);
          for (let count = 0, refused = 0; refused < 4 && count < 400; count += 1) {
            const image = imageOf([randomContent(own, 1 + own.below(60_000))], `${at} ${count}`);
            const answers: Answer[] = [];
            for (const blob of image.blobs) answers.push(await pushBlob(scene.client, REPO, blob));
            if (answers.every(({ status }) => status === 201)) {
              answers.push(await pushManifest(scene.client, REPO, image.manifest, `c${at}-${count}`));
            }
            const statuses = answers.map(({ status }) => status);
            if (statuses.every((status) => status === 201)) {
              acknowledged.push({ tag: `c${at}-${count}`, digest: image.manifest.digest });
            } else refused += 1;
            for (const { status, body } of answers)
              if (status !== 201 && status !== 507) wrong.push(body.toString());
          }
        }),
      );
      assert.deepEqual(wrong, [], remarks(scene.server.stdout()));
      context.diagnostic(`${acknowledged.length} images fitted`);
      await rm(join(scene.disk.folder, 'filler'), { force: true });
      for (const { tag, digest } of acknowledged) {
        const { headers } = await scene.client.send('GET', `/v2/${REPO}/manifests/${tag}`);
        assert.equal(headers['docker-content-digest'], digest);
      }
      assert.deepEqual((await readLayouts(scene.root)).faults, []);
      // Room is made by deleting, as an operator would.
      for (const { digest } of acknowledged.slice(0, 20)) {
        const answer = await scene.client.send('DELETE', `/v2/${REPO}/manifests/${digest}`);
        assert.ok([202, 507].includes(answer.status), answer.body.toString());
      }
    });
  });

  test('that holds the log as well stops neither requests nor the server', async (context) => {
    const log = (folder: string): Record<string, unknown> => ({ output: join(folder, 'zot.log') });
    const disk = await SmallDisk.mount(2);
    if (typeof disk === 'string') return context.skip(disk);
    await disk.unmount();
    await onSmallDisk(context, {}, async (scene) => {
      void log;
      await scene.disk.fill();
      await requireUnchanged(scene);
    });
  });
});
