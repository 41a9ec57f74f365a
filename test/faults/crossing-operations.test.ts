/**
 * Operations that cross each other at the worst moment, made to happen: a request is held at one call of its storage
 * while others run.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { StorageDriver } from '#storage';
import { StorageError } from '#storage';
import { MemoryDriver } from '../../src/storage/drivers/memory.ts';
import { imageOf, randomContent } from './support/images.ts';
import { serveInProcess } from './support/in-process-server.ts';
import type { InProcessServer } from './support/in-process-server.ts';
import { pushBlob, pushImage, pushManifest } from './support/pushing.ts';
import { SeededRandom } from './support/seeded-random.ts';

const REPO = 'library/app';
const random = new SeededRandom(4);

/** Calls something before a call on a path is carried out, once. */
class Intercepted extends MemoryDriver {
  #path = '';
  #before: () => Promise<void> = () => Promise.resolve();

  intercept(path: string, before: () => Promise<void>): void {
    this.#path = path;
    this.#before = before;
  }

  async #at(path: string): Promise<void> {
    if (this.#path === '' || !path.includes(this.#path)) return;
    this.#path = '';
    await this.#before();
  }

  override async read(...args: Parameters<StorageDriver['read']>): ReturnType<StorageDriver['read']> {
    await this.#at(args[0]);
    return super.read(...args);
  }

  override async put(...args: Parameters<StorageDriver['put']>): ReturnType<StorageDriver['put']> {
    await this.#at(args[0]);
    return super.put(...args);
  }

  override async move(...args: Parameters<StorageDriver['move']>): ReturnType<StorageDriver['move']> {
    await this.#at(args[1]);
    return super.move(...args);
  }
}

describe('operations that cross', { timeout: 60_000 }, () => {
  let root: string;
  let driver: Intercepted;
  let server: InProcessServer;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'zot-crossing-'));
    driver = new Intercepted();
    server = await serveInProcess({ root, driver });
  });
  afterEach(async () => {
    await server.close();
    await rm(root, { recursive: true, force: true });
  });

  test('a read of a tag that moves, and whose old manifest is deleted, gives the new one', async () => {
    const [old, next] = ['old', 'next'].map((label) => imageOf([randomContent(random, 100)], label));
    assert.ok(old && next);
    await pushImage(server.client, REPO, old, 'latest');
    await pushImage(server.client, REPO, next);
    driver.intercept(old.manifest.digest.slice('sha256:'.length), async () => {
      assert.equal((await pushManifest(server.client, REPO, next.manifest, 'latest')).status, 201);
      const deleted = await server.client.send('DELETE', `/v2/${REPO}/manifests/${old.manifest.digest}`);
      assert.equal(deleted.status, 202);
    });
    const read = await server.client.send('GET', `/v2/${REPO}/manifests/latest`);
    assert.equal(read.status, 200, read.body.toString());
    assert.ok(read.body.equals(next.manifest.bytes));
  });

  test('a push that fails does not fail those that are joined with it', async () => {
    const images = Array.from({ length: 6 }, (_, at) =>
      imageOf([randomContent(random, 100)], `joined ${at}`),
    );
    const [failing, ...others] = images;
    assert.ok(failing);
    await pushImage(server.client, REPO, imageOf([randomContent(random, 100)], 'first'), 'first');
    for (const image of images) for (const blob of image.blobs) await pushBlob(server.client, REPO, blob);
    const path = failing.manifest.digest.slice('sha256:'.length);
    const fail = (): Promise<void> => {
      // Each time: it is tried once with the others and once alone.
      driver.intercept(path, fail);
      return Promise.reject(new StorageError('full', path));
    };
    driver.intercept(path, fail);
    const answers = await Promise.all(
      images.map((image, at) => pushManifest(server.client, REPO, image.manifest, `joined-${at}`)),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      [507, ...others.map(() => 201)],
    );
  });

  test('a delete of a blob while it is uploaded again ends with one or the other, in agreement', async () => {
    const blob = randomContent(random, 500);
    await pushBlob(server.client, REPO, blob);
    const path = `/v2/${REPO}/blobs/${blob.digest}`;
    const crossing = Promise.withResolvers<number>();
    driver.intercept(blob.digest.slice('sha256:'.length), async () => {
      // Started while the upload gets its name; it has to wait for that.
      server.client.send('DELETE', path).then(({ status }) => crossing.resolve(status), crossing.reject);
      await Promise.resolve();
    });
    assert.equal((await pushBlob(server.client, REPO, blob)).status, 201);
    assert.equal(await crossing.promise, 202);
    assert.equal((await server.client.send('GET', path)).status, 404);
    assert.equal((await server.client.send('HEAD', path)).status, 404);
    assert.equal((await pushBlob(server.client, REPO, blob)).status, 201);
    assert.equal((await server.client.send('GET', path)).status, 200);
  });
});
