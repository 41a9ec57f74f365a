import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { UploadWriter } from '../upload-writer.ts';
import { nodeFileSystem } from './file-system.ts';
import type { FileSystem, OpenFile } from './file-system.ts';
import { LocalDriver } from './local.ts';

const MIB = 1024 * 1024;
const isDirect = (flags: number): boolean =>
  constants.O_DIRECT !== undefined && (flags & constants.O_DIRECT) !== 0;

type DirectWrite = OpenFile['write'];

/** The file system of this machine, with whatever a test puts in the place of a write past the cache. */
function watched(change: (write: DirectWrite) => DirectWrite = (write) => write) {
  const seen = { opened: 0, closed: 0, writes: [] as { length: number; position: number }[] };
  const open: FileSystem['open'] = async (path, flags, mode) => {
    const file = await nodeFileSystem.open(path, flags, mode);
    if (!isDirect(flags)) return file;
    seen.opened += 1;
    const write = change(file.write.bind(file));
    return {
      fd: file.fd,
      read: file.read.bind(file),
      writev: file.writev.bind(file),
      sync: file.sync.bind(file),
      stat: file.stat.bind(file),
      write: async (buffer, offset, length, position) => {
        seen.writes.push({ length, position });
        return write(buffer, offset, length, position);
      },
      close: async () => {
        seen.closed += 1;
        await file.close();
      },
    };
  };
  return { seen, files: { ...nodeFileSystem, open } };
}

const failing = (code: string): never => {
  throw Object.assign(new Error(code), { code });
};

describe('writing past the page cache', { timeout: 60_000 }, () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'zot-direct-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  /** Writes the parts through an upload, flushed after each, and asserts that they are what is read. */
  const upload = async (files: FileSystem, parts: readonly Buffer[]): Promise<void> => {
    const driver = new LocalDriver(root, files);
    const writer = UploadWriter.fresh(await driver.createWriter('r/.uploads/one'), 'sha256');
    try {
      for (const part of parts) {
        // What is appended may be emptied.
        await writer.append(Buffer.from(part));
        await writer.flush();
      }
      await writer.sync();
    } finally {
      await writer.close();
    }
    const whole = Buffer.concat(parts);
    const read = await new LocalDriver(root).read('r/.uploads/one', 64 * MIB);
    assert.ok(read?.equals(whole), `${read?.length} bytes instead of ${whole.length}`);
  };

  test('takes what is large and aligned; beginning and end go through the cache', async (context) => {
    const { seen, files } = watched();
    await upload(files, [randomBytes(1000), randomBytes(3 * MIB)]);
    if (seen.opened === 0) return context.skip('the file system here does not write past its cache');
    assert.deepEqual(seen.writes, [
      { length: MIB, position: MIB },
      { length: MIB, position: 2 * MIB },
    ]);
    assert.deepEqual([seen.opened, seen.closed], [1, 1]);
  });

  test('leaves small files alone', async () => {
    const { seen, files } = watched();
    await upload(files, [randomBytes(200_000), randomBytes(100)]);
    assert.equal(seen.opened, 0);
  });

  for (const code of ['EINVAL', 'EOPNOTSUPP']) {
    test(`a file system that answers ${code} gets everything through its cache`, async () => {
      const { files } = watched();
      const open: FileSystem['open'] = (path, flags, mode) =>
        isDirect(flags) ? failing(code) : files.open(path, flags, mode);
      await upload({ ...files, open }, [randomBytes(3 * MIB)]);
      const refusing = watched(() => async () => failing(code));
      await rm(join(root, 'r'), { recursive: true });
      await upload(refusing.files, [randomBytes(3 * MIB)]);
      assert.ok(refusing.seen.writes.length <= 1, 'it was asked again');
      assert.equal(refusing.seen.closed, refusing.seen.opened);
    });
  }

  test('goes on after a short write, through the cache until the next block', async () => {
    const { files } = watched(
      (write) => (buffer, offset, length, position) =>
        write(buffer, offset, Math.min(length, 512 * 1024), position),
    );
    await upload(files, [randomBytes(3 * MIB)]);
  });

  test('memory that does not begin at a page is written all the same', async () => {
    const driver = new LocalDriver(root);
    const writer = await driver.createWriter('r/file');
    const bytes = randomBytes(2 * MIB);
    for (const start of [0, 1, 17, MIB]) await writer.write(bytes.subarray(start, start + MIB));
    await writer.close();
    const expected = Buffer.concat([0, 1, 17, MIB].map((start) => bytes.subarray(start, start + MIB)));
    assert.ok((await driver.read('r/file', 64 * MIB))?.equals(expected));
  });

  test('a full disk is said, with what arrived before, and nothing stays open', async (context) => {
    const { seen, files } = watched(() => async () => failing('ENOSPC'));
    const driver = new LocalDriver(root, files);
    const writer = UploadWriter.fresh(await driver.createWriter('r/.uploads/one'), 'sha256');
    await writer.append(randomBytes(5000));
    await writer.flush();
    await writer.append(randomBytes(2 * MIB));
    const failed = await writer.flush().then(
      () => null,
      (error: unknown) => error,
    );
    const sizeBytes = writer.sizeBytes;
    await writer.close();
    if (seen.opened === 0) return context.skip('the file system here does not write past its cache');
    assert.ok(failed instanceof Error && 'fault' in failed && failed.fault === 'full', String(failed));
    assert.equal((await driver.stat('r/.uploads/one'))?.sizeBytes, sizeBytes);
    assert.equal(seen.closed, 1);
  });

  test('a disk that is slow now and then is used on', async (context) => {
    let count = 0;
    const { seen, files } = watched((write) => async (buffer, offset, length, position) => {
      count += 1;
      if (count % 4 !== 0) await sleep(40);
      return write(buffer, offset, length, position);
    });
    await upload(files, [randomBytes(12 * MIB)]);
    if (seen.opened === 0) return context.skip('the file system here does not write past its cache');
    assert.equal(seen.writes.length, 12);
  });

  test('a disk that is slow to answer is left to the kernel', async (context) => {
    const { seen, files } = watched((write) => async (buffer, offset, length, position) => {
      await sleep(40);
      return write(buffer, offset, length, position);
    });
    await upload(files, [randomBytes(20 * MIB)]);
    if (seen.opened === 0) return context.skip('the file system here does not write past its cache');
    assert.equal(seen.writes.length, 8);
  });
});
