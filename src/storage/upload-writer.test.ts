import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIGEST_ALGORITHMS, digestOf } from '#oci/digest';
import { StorageError } from './driver.ts';
import type { FileWriter } from './driver.ts';
import { MemoryDriver } from './drivers/memory.ts';
import { UploadWriter } from './upload-writer.ts';

async function open(): Promise<{ driver: MemoryDriver; file: FileWriter }> {
  const driver = new MemoryDriver();
  return { driver, file: await driver.createWriter('r/.uploads/one') };
}

async function contentOf(driver: MemoryDriver): Promise<Buffer> {
  return (await driver.read('r/.uploads/one', 100_000_000)) ?? Buffer.alloc(0);
}

/** A body as it arrives: pieces of any size, some larger than what is gathered before a write. */
const pieces = fc.array(
  fc.tuple(fc.oneof(fc.nat(2000), fc.constantFrom(0, 65_536, 1_048_575, 1_048_576, 2_000_000)), fc.nat(255)),
  { maxLength: 8 },
);
const asBuffers = (list: readonly (readonly [number, number])[]): Buffer[] =>
  list.map(([sizeBytes, byte]) => Buffer.alloc(sizeBytes, byte));

describe('the writer of an upload', () => {
  test('writes the pieces in order and knows their digest, by every algorithm', async () => {
    const algorithms = fc.constantFrom(...DIGEST_ALGORITHMS);
    await fc.assert(
      fc.asyncProperty(pieces, algorithms, async (list, algorithm) => {
        const { driver, file } = await open();
        const writer = UploadWriter.fresh(file, algorithm);
        for (const piece of asBuffers(list)) await writer.append(piece);
        const whole = Buffer.concat(asBuffers(list));
        assert.equal(writer.digest(), digestOf(whole, algorithm));
        assert.equal(writer.sizeBytes, whole.length);
        await writer.flush();
        assert.ok((await contentOf(driver)).equals(whole));
        assert.equal(writer.sizeBytes, whole.length);
        await writer.close();
      }),
      { numRuns: 40 },
    );
  });

  test('goes on where an earlier one ended, with its hash', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, pieces, async (first, second) => {
        const { driver, file } = await open();
        const one = UploadWriter.fresh(file, 'sha256');
        for (const piece of asBuffers(first)) await one.append(piece);
        await one.flush();
        await one.close();
        const again = await driver.openWriter('r/.uploads/one');
        assert.ok(again);
        const two = new UploadWriter(again, 'sha256', one.hash);
        for (const piece of asBuffers(second)) await two.append(piece);
        await two.flush();
        const whole = Buffer.concat(asBuffers([...first, ...second]));
        assert.equal(two.digest(), digestOf(whole));
        assert.equal(two.sizeBytes, whole.length);
        assert.ok((await contentOf(driver)).equals(whole));
      }),
      { numRuns: 20 },
    );
  });

  test('without the hash of the beginning has no digest', async () => {
    const { file } = await open();
    const writer = new UploadWriter(file, 'sha256', null);
    await writer.append(Buffer.from('text'));
    assert.deepEqual([writer.digest(), writer.hash, writer.algorithm], [null, null, 'sha256']);
  });

  test('writes nothing before there is enough, or a flush, or a sync', async () => {
    const { driver, file } = await open();
    const writer = UploadWriter.fresh(file, 'sha256');
    await writer.append(Buffer.alloc(1_048_575));
    assert.equal((await contentOf(driver)).length, 0);
    await writer.append(Buffer.alloc(1));
    assert.equal((await contentOf(driver)).length, 1_048_576);
    await writer.append(Buffer.alloc(10));
    assert.equal(writer.sizeBytes, 1_048_586);
    await writer.sync();
    assert.equal((await contentOf(driver)).length, 1_048_586);
  });

  test('after a failed write knows the size of the file, and no digest any more', async () => {
    const { driver, file } = await open();
    const failing: FileWriter = {
      get sizeBytes() {
        return file.sizeBytes;
      },
      write: async (buffer) => {
        await file.write(buffer.subarray(0, 3));
        throw new StorageError('full', 'r/.uploads/one');
      },
      sync: () => file.sync(),
      close: () => file.close(),
    };
    const writer = new UploadWriter(failing, 'sha256', createHash('sha256'));
    await writer.append(Buffer.from('0123456789'));
    await assert.rejects(writer.flush(), { fault: 'full' });
    assert.deepEqual([writer.digest(), writer.hash, writer.sizeBytes], [null, null, 3]);
    assert.equal((await contentOf(driver)).toString(), '012');
    await writer.close();
  });
});
