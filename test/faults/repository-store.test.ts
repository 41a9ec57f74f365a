/**
 * A push at the level of the store, with a fault at every call of its driver in turn: what was there is served as
 * before, index.json is the old one or the new one, the new one names only what is there, and the push can be
 * repeated.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { OCI_MANIFEST } from '#oci/media-types';
import { parseRepoName } from '#oci/repo-name';
import { FRESH_HEAD, RepositoryStore, StorageError, descriptorJson, parseIndexFile } from '#storage';
import { MemoryDriver } from '../../src/storage/drivers/memory.ts';
import { FAULT_KINDS, FaultyDriver, withFaultAtEveryCall } from './support/faulty-driver.ts';

const REPO = parseRepoName('library/faults');
const CALLS_MAX = 60;

async function push(store: RepositoryStore, name: string): Promise<void> {
  const { id, writer } = await store.startUploadWriter('sha256');
  try {
    await writer.append(Buffer.from(`layer ${name}`));
    await writer.flush();
    await writer.sync();
  } finally {
    await writer.close();
  }
  const layer = writer.digest();
  assert.ok(layer);
  await store.finishUpload(id, layer);
  const manifest = Buffer.from(JSON.stringify({ name, layer }));
  await store.putManifest(digestOf(manifest), manifest);
  const before = await store.readIndex();
  const parsed = before === null ? null : parseIndexFile(before.bytes);
  assert.notEqual(typeof parsed, 'string');
  const entries = parsed === null || typeof parsed === 'string' ? [] : parsed.entries.map(({ json }) => json);
  const descriptor = { mediaType: OCI_MANIFEST, digest: digestOf(manifest), sizeBytes: manifest.length };
  const text = `${FRESH_HEAD},"manifests":[${[...entries, descriptorJson(descriptor, null)].join(',')}]}`;
  await store.replaceIndex([Buffer.from(text)], before?.stat.fingerprint ?? null);
}

/** Reads everything that index.json names, and gives the names of the images. */
async function pullAll(store: RepositoryStore): Promise<string[]> {
  const index = await store.readIndex();
  if (index === null) return [];
  const parsed = parseIndexFile(index.bytes);
  assert.ok(typeof parsed !== 'string', 'index.json cannot be read');
  const names: string[] = [];
  for (const { descriptor } of parsed.entries) {
    const bytes = await store.readManifest(descriptor.digest, 1000);
    assert.ok(bytes, `${descriptor.digest} is named and not there`);
    const { name } = JSON.parse(bytes.toString()) as { name: string };
    const layer = await store.readManifest(digestOf(Buffer.from(`layer ${name}`)), 1000);
    assert.equal(layer?.toString(), `layer ${name}`);
    names.push(name);
  }
  return names;
}

describe('a push whose driver fails', { timeout: 60_000 }, () => {
  for (const kind of FAULT_KINDS) {
    for (const durable of [true, false]) {
      const how = `"${kind.fault}" ${kind.when}${kind.forGood === true ? ' for good' : ''}, commit ${durable}`;
      test(`leaves the repository whole: ${how}`, async () => {
        const attempts = await withFaultAtEveryCall({
          kind,
          callsMax: CALLS_MAX,
          open: async () => {
            const driver = new FaultyDriver(new MemoryDriver());
            await push(new RepositoryStore(REPO, driver, durable), 'first');
            return driver;
          },
          attempt: async (driver, at) => {
            const store = new RepositoryStore(REPO, driver, durable);
            const outcome = await push(store, 'second').catch((error: unknown) => error);
            driver.arm(null);
            const found = await pullAll(store);
            if (driver.failed > 0)
              assert.ok(outcome instanceof StorageError, `call ${at}: ${String(outcome)}`);
            else assert.deepEqual(found, ['first', 'second']);
            assert.ok(['first', 'first,second'].includes(found.join()), `call ${at}: ${found.join()}`);
            await push(store, 'third');
            assert.ok((await pullAll(store)).includes('third'));
          },
        });
        assert.ok(attempts >= 10, `only ${attempts} calls failed`);
      });
    }
  }
});

describe('the faulty driver', () => {
  const options = { durable: false, stagingPath: 's' };

  test('counts calls, of a kind or of all, and fails the one that is asked for', async () => {
    const driver = new FaultyDriver(new MemoryDriver());
    driver.arm({ at: 2, call: 'stat', fault: 'denied', when: 'before' });
    await driver.put('a', [], options);
    assert.ok(await driver.stat('a'));
    await assert.rejects(driver.stat('a'), { fault: 'denied' });
    assert.ok(await driver.stat('a'));
    assert.deepEqual(driver.calls, ['put a', 'stat a', 'stat a', 'stat a']);
    assert.equal(driver.failed, 1);
  });

  test('writes half, or loses only the answer', async () => {
    const driver = new FaultyDriver(new MemoryDriver());
    const writer = await driver.createWriter('a');
    driver.arm({ at: 1, fault: 'full', when: 'short' });
    await assert.rejects(writer.write(Buffer.from('12345678')), { fault: 'full' });
    assert.equal(writer.sizeBytes, 4);
    driver.arm({ at: 1, fault: 'unavailable', when: 'after' });
    await assert.rejects(driver.move('a', 'b', options), { fault: 'unavailable' });
    assert.equal((await driver.read('b', 10))?.toString(), '1234');
  });

  test('holds calls up until it is told to let them go', async () => {
    const driver = new FaultyDriver(new MemoryDriver());
    const { promise, resolve } = Promise.withResolvers<void>();
    driver.hold('put', promise);
    const put = driver.put('a', [], options);
    assert.equal(await driver.stat('a'), null);
    resolve();
    await put;
    assert.ok(await driver.stat('a'));
    await driver.put('b', [], options);
  });
});
