import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDigest } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import { newUploadId } from '#oci/upload-id';
import { driverContract } from '../driver-contract.suite.ts';
import { StorageError } from '../driver.ts';
import { blobFolder, blobPath, indexPath, layoutPath, newStagingPath, uploadPath } from '../paths.ts';
import { MemoryDriver } from './memory.ts';
import { ObservedDriver, kindOf } from './observed.ts';

driverContract('observed memory', async () => {
  const driver = new ObservedDriver(new MemoryDriver(), () => undefined);
  return { driver, close: () => driver.close() };
});

describe('an observed driver', () => {
  const open = () => {
    const calls: string[] = [];
    const inner = new MemoryDriver();
    const driver = new ObservedDriver(inner, (operation, kind, durationMs, fault) => {
      assert.ok(durationMs >= 0 && durationMs < 60_000);
      calls.push(`${operation} ${kind} ${fault}`);
    });
    return { driver, inner, calls };
  };

  test('tells of each call once, with its files, when it has ended', async () => {
    const { driver, calls } = open();
    const writer = await driver.createWriter('r/.uploads/one');
    await writer.write(Buffer.from('text'));
    await writer.sync();
    await writer.close();
    await driver.move('r/.uploads/one', 'r/blobs/sha256/a', { durable: true });
    const reader = await driver.openReader('r/blobs/sha256/a');
    await reader?.read(Buffer.alloc(4), 0);
    await reader?.close();
    await driver.put('r/index.json', [], { durable: true, stagingPath: 'r/.uploads/.stage-1' });
    await driver.stat('r/oci-layout');
    await driver.freeSpace();
    assert.deepEqual(calls, [
      'createWriter upload null',
      'append upload null',
      'sync upload null',
      'move blob null',
      'openReader blob null',
      'readRange blob null',
      'put index null',
      'stat layout null',
      'freeSpace other null',
    ]);
  });

  test('tells the fault and puts the name of the driver before its message', async () => {
    const { driver, calls } = open();
    const move = driver.move('r/.uploads/none', 'r/blobs/sha256/a', { durable: true });
    await assert.rejects(move, (error: unknown) => {
      assert.ok(error instanceof StorageError && error.cause instanceof StorageError);
      assert.deepEqual(
        [error.fault, error.path, error.message],
        ['missing', 'r/.uploads/none', 'memory: missing: r/.uploads/none'],
      );
      return true;
    });
    assert.deepEqual(calls, ['move blob missing']);
  });

  test('lets what is no fault of the store pass as it is', async () => {
    const { driver, inner, calls } = open();
    const bug = new TypeError('a bug');
    inner.stat = () => Promise.reject(bug);
    await assert.rejects(driver.stat('a'), (error) => error === bug);
    assert.deepEqual(calls, ['stat other unavailable']);
  });

  test('tells of a listing when it ends, is left early or fails', async () => {
    const { driver, inner, calls } = open();
    for (const name of ['a', 'b']) await driver.put(`f/${name}`, [], { durable: false, stagingPath: 's' });
    calls.length = 0;
    assert.equal((await Array.fromAsync(driver.list('f'))).length, 2);
    for await (const entry of driver.list('f')) if (entry.name === 'a') break;
    inner.list = async function* () {
      yield { name: 'a', kind: 'file' };
      throw new StorageError('denied', 'f');
    };
    await assert.rejects(Array.fromAsync(driver.list('f')), {
      fault: 'denied',
      message: 'memory: denied: f',
    });
    assert.deepEqual(calls, ['list other null', 'list other null', 'list other denied']);
  });
});

test('every path of the store has a kind', () => {
  const repo = parseRepoName('a/b');
  const digest = parseDigest(`sha256:${'0'.repeat(64)}`);
  const paths = [indexPath(repo), layoutPath(repo), blobPath(repo, digest), uploadPath(repo, newUploadId())];
  assert.deepEqual(paths.map(kindOf), ['index', 'layout', 'blob', 'upload']);
  assert.deepEqual([newStagingPath(repo), blobFolder(repo, 'sha256'), ''].map(kindOf), [
    'upload',
    'blob',
    'other',
  ]);
});
