/**
 * C8, on a file system that is really full: pushes are refused with 507, reads and deletes go on, index.json is whole
 * all the time, a restart serves what is there, and once there is room again everything works as before. The
 * databases are on the same disk.
 */
import assert from 'node:assert/strict';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startProcess } from '../support/process.ts';
import { projectRoot, startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
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
  options: { workers?: number; storage?: Record<string, unknown> },
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  const disk = await SmallDisk.mount(DISK_MEGABYTES);
  if (typeof disk === 'string') return context.skip(disk);
  const root = join(disk.folder, 'data');
  const config = {
    http: { workers: options.workers ?? 1 },
    storage: { minFreeSpace: 0, ...options.storage },
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
      await retry(async () => {
        requireRefused(await scene.client.send('POST', `/v2/${REPO}/blobs/uploads/`), scene);
      }, 20_000);
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

  test('without a byte left goes on deleting, with the room of the reserve', async (context) => {
    await onSmallDisk(context, {}, async (scene) => {
      await retry(() => access(join(scene.root, '_zot/reserve')), 10_000);
      await scene.disk.fill();
      const paths = ['manifests/latest', 'manifests/other', `blobs/${scene.samples[0]?.loose.digest}`];
      requireRefused(await pushBlob(scene.client, REPO, randomContent(random, 200_000)), scene);
      for (const path of paths) {
        const answer = await scene.client.send('DELETE', `/v2/${REPO}/${path}`);
        assert.equal(answer.status, 202, answer.body.toString());
        assert.equal((await scene.client.send('GET', `/v2/${REPO}/${path}`)).status, 404);
      }
      assert.deepEqual((await readLayouts(scene.root)).faults, []);
    });
  });

  test('with neither a byte nor the reserve refuses deletes, and leaves all as it was', async (context) => {
    await onSmallDisk(context, {}, async (scene) => {
      await retry(() => access(join(scene.root, '_zot/reserve')), 10_000);
      await rm(join(scene.root, '_zot/reserve'));
      await scene.disk.fill();
      for (const path of ['manifests/latest', 'manifests/other', `blobs/${scene.samples[0]?.loose.digest}`]) {
        requireRefused(await scene.client.send('DELETE', `/v2/${REPO}/${path}`), scene);
      }
      await requireUnchanged(scene);
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

  test('that holds the log alone stops neither requests nor the server', async (context) => {
    const disk = await SmallDisk.mount(2);
    if (typeof disk === 'string') return context.skip(disk);
    const root = await mkdtemp(join(tmpdir(), 'zot-full-log-'));
    const configFile = join(root, 'config.json');
    const output = join(disk.folder, 'zot.log');
    const http = { address: '127.0.0.1', port: '0', workers: 1 };
    const config = { storage: { rootDirectory: join(root, 'data') }, http, log: { level: 'info', output } };
    await writeFile(configFile, JSON.stringify(config));
    const command = [process.execPath, join(projectRoot, 'src/bin/zot.ts'), 'serve', configFile];
    const running = startProcess({ command, cwd: root, env: {} });
    try {
      // The log is in the file: people are told on standard error.
      const url = await running.waitForLine((line) => /ready at (\S+),/.exec(line)?.[1] ?? null, 30_000);
      const samples = [await fillRepository(url, REPO)];
      const expected = await answersOf(url, samples);
      await disk.fill();
      for (let round = 0; round < 5; round += 1) assert.deepEqual(await answersOf(url, samples), expected);
      await disk.free();
      assert.deepEqual(await answersOf(url, samples), expected);
      assert.equal(await running.stop(20_000), 0);
      const lines = (await readFile(output, 'utf8')).trim().split('\n');
      assert.match(lines.at(-1) ?? '', /"stopped"/);
    } finally {
      await running.kill();
      await disk.unmount();
      await rm(root, { recursive: true, force: true });
    }
  });
});
