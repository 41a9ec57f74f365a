import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { digestOf, parseDigest } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import { newUploadId } from '#oci/upload-id';
import type { StorageDriver } from './driver.ts';
import { MemoryDriver } from './drivers/memory.ts';
import { blobPath, indexPath, layoutPath, newStagingPath, uploadsFolder } from './paths.ts';
import { RepositoryStore, hashReader } from './repository-store.ts';

const REPO = parseRepoName('library/debian');
const OPTIONS = { durable: false, stagingPath: '' };

describe('the store of a repository', () => {
  let driver: MemoryDriver;
  let store: RepositoryStore;
  beforeEach(() => {
    driver = new MemoryDriver();
    store = new RepositoryStore(REPO, driver, false);
  });

  const text = async (path: string): Promise<string | undefined> =>
    (await driver.read(path, 1e6))?.toString();

  test('takes an upload to its place under its digest', async () => {
    const bytes = Buffer.from('a layer');
    const id = await store.startUpload();
    assert.equal(await store.uploadSizeBytes(id), 0);
    const writer = await store.openUpload(id);
    await writer?.write(bytes);
    await writer?.close();
    assert.equal(await store.uploadSizeBytes(id), 7);
    assert.deepEqual(await store.hashUpload(id, 'sha512'), {
      digest: digestOf(bytes, 'sha512'),
      sizeBytes: 7,
    });
    await store.finishUpload(id, digestOf(bytes, 'sha512'));
    assert.equal(await store.uploadSizeBytes(id), null);
    assert.equal((await store.statBlob(digestOf(bytes, 'sha512')))?.sizeBytes, 7);
    assert.deepEqual(await Array.fromAsync(store.listBlobs()), [digestOf(bytes, 'sha512')]);
    await assert.rejects(store.finishUpload(id, digestOf(bytes)), { fault: 'missing' });
  });

  test('knows no upload that was cancelled or never began', async () => {
    const id = await store.startUpload();
    assert.equal(await store.cancelUpload(id), true);
    for (const gone of [id, newUploadId()]) {
      assert.equal(await store.cancelUpload(gone), false);
      assert.equal(await store.openUpload(gone), null);
      assert.equal(await store.uploadSizeBytes(gone), null);
      assert.equal(await store.hashUpload(gone, 'sha256'), null);
    }
  });

  test('reads a manifest only when its bytes have its digest', async () => {
    const bytes = Buffer.from('{}');
    assert.equal(await store.readManifest(digestOf(bytes), 100), null);
    await store.putManifest(digestOf(bytes), bytes);
    assert.deepEqual(await store.readManifest(digestOf(bytes), 100), bytes);
    await assert.rejects(store.readManifest(digestOf(bytes), 1), { fault: 'invalid' });
    await driver.put(blobPath(REPO, digestOf(bytes)), [Buffer.from('[]')], OPTIONS);
    await assert.rejects(store.readManifest(digestOf(bytes), 100), { fault: 'corrupt' });
  });

  test('replaces a damaged manifest, leaves a sound one, and writes it anew where it must be durable', async () => {
    const bytes = Buffer.from('{"a":1}');
    const path = blobPath(REPO, digestOf(bytes));
    const fingerprint = async (): Promise<string | undefined> => (await driver.stat(path))?.fingerprint;
    for (const damaged of ['', '{"a":2}', '{"a":1} ']) {
      await driver.put(path, [Buffer.from(damaged)], OPTIONS);
      await store.putManifest(digestOf(bytes), bytes);
      assert.equal(await text(path), '{"a":1}');
    }
    const before = await fingerprint();
    await store.putManifest(digestOf(bytes), bytes);
    assert.equal(await fingerprint(), before);
    await new RepositoryStore(REPO, driver, true).putManifest(digestOf(bytes), bytes);
    assert.notEqual(await fingerprint(), before);
  });

  test('begins a layout with its index.json, and replaces only the version it was made from', async () => {
    assert.equal(await store.readIndex(), null);
    const first = await store.replaceIndex([Buffer.from('{'), Buffer.from('}')], null);
    assert.equal(await text(layoutPath(REPO)), '{"imageLayoutVersion":"1.0.0"}');
    assert.deepEqual(await store.readIndex(), { bytes: Buffer.from('{}'), stat: first });
    assert.deepEqual(await store.statIndex(), first);
    await assert.rejects(store.replaceIndex([], null), { fault: 'conflict' });
    const foreign = await driver.put(indexPath(REPO), [Buffer.from('{"by":"skopeo"}')], OPTIONS);
    await assert.rejects(store.replaceIndex([], first.fingerprint), { fault: 'conflict' });
    assert.equal(await text(indexPath(REPO)), '{"by":"skopeo"}');
    // A layout file that is gone comes back, one that is there is left as it is.
    await driver.put(layoutPath(REPO), [Buffer.from('{ "imageLayoutVersion": "1.0.0" }')], OPTIONS);
    const second = await store.replaceIndex([Buffer.from('{}')], foreign.fingerprint);
    assert.equal(await text(layoutPath(REPO)), '{ "imageLayoutVersion": "1.0.0" }');
    await driver.delete(layoutPath(REPO), OPTIONS);
    await store.replaceIndex([Buffer.from('{}')], second.fingerprint);
    assert.equal(await text(layoutPath(REPO)), '{"imageLayoutVersion":"1.0.0"}');
  });

  test('reads index.json again while it changes, and gives up when it keeps changing', async () => {
    let changes = 2;
    const unsteady: StorageDriver = Object.assign(Object.create(driver) as MemoryDriver, {
      read: async (path: string, sizeBytesMax: number) => {
        const bytes = await driver.read(path, sizeBytesMax);
        changes -= 1;
        if (changes >= 0) await driver.put(indexPath(REPO), [Buffer.from(`{"left":${changes}}`)], OPTIONS);
        return bytes;
      },
      stat: (path: string) => driver.stat(path),
    });
    await driver.put(indexPath(REPO), [Buffer.from('{}')], OPTIONS);
    const reading = new RepositoryStore(REPO, unsteady, false);
    const read = await reading.readIndex();
    assert.equal(read?.bytes.toString(), '{"left":0}');
    assert.deepEqual(read?.stat, await driver.stat(indexPath(REPO)));
    changes = 1000;
    await assert.rejects(reading.readIndex(), { fault: 'unavailable' });
  });

  test('shares a blob of another repository', async () => {
    const bytes = Buffer.from('shared');
    const other = new RepositoryStore(parseRepoName('other'), driver, false);
    await assert.rejects(store.mountBlob(other, digestOf(bytes)), { fault: 'missing' });
    await driver.put(blobPath(other.name, digestOf(bytes)), [bytes], OPTIONS);
    await store.mountBlob(other, digestOf(bytes));
    assert.equal(await other.deleteBlob(digestOf(bytes)), true);
    assert.equal(await other.deleteBlob(digestOf(bytes)), false);
    assert.equal((await store.statBlob(digestOf(bytes)))?.sizeBytes, 6);
  });

  test('lists only blobs whose names are digests of their folder’s algorithm', async () => {
    const sound = digestOf(Buffer.from('a'));
    const names = [
      `sha256/${sound.slice(7)}`,
      'sha256/.stage-1',
      'sha256/README',
      `sha512/${sound.slice(7)}`,
      'md5/0',
    ];
    for (const name of names) await driver.put(`${REPO}/blobs/${name}`, [], OPTIONS);
    await driver.put(`${REPO}/blobs/sha256/${'b'.repeat(64)}/folder`, [], OPTIONS);
    assert.deepEqual(await Array.fromAsync(store.listBlobs()), [sound]);
  });

  test('removes what a process that is gone had staged, and no upload', async () => {
    const upload = await store.startUpload();
    const own = newStagingPath(REPO);
    for (const path of [own, `${uploadsFolder(REPO)}/.stage-old-1`, `${uploadsFolder(REPO)}/.stage-old-2`]) {
      await driver.put(path, [], OPTIONS);
    }
    assert.deepEqual(await store.removeStaged(), { removed: 2, hasUploads: true });
    assert.equal(await store.uploadSizeBytes(upload), 0);
    assert.ok(await driver.stat(own));
  });
});

test('an open file is hashed from its start to its end, whatever its size, and closed', async () => {
  const driver = new MemoryDriver();
  for (const sizeBytes of [0, 1, 1_048_575, 1_048_576, 1_048_577, 3_000_000]) {
    const bytes = Buffer.alloc(sizeBytes, 7);
    await driver.put('file', [bytes], OPTIONS);
    const reader = await driver.openReader('file');
    assert.ok(reader);
    let closed = false;
    const observed = { ...reader, close: async () => void (closed = true) };
    assert.deepEqual(await hashReader(observed, 'sha256'), {
      digest: parseDigest(digestOf(bytes)),
      sizeBytes,
    });
    assert.ok(closed);
  }
});
