/**
 * The local driver with every call of the file system failing in turn: the fault has the right name, what was there
 * is still there or replaced as a whole, nothing staged is left, no descriptor stays open, and the next call works.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pageAligned } from '#lib/buffer-pool';
import { LocalDriver, StorageError } from '#storage';
import type { StorageFault } from '#storage';
import { FaultyFileSystem } from './support/faulty-file-system.ts';
import type { KernelError } from './support/faulty-file-system.ts';

const CALLS_MAX = 100;
const OPTIONS = { durable: true, stagingPath: 'r/.uploads/.stage-1' };

const faults: readonly [KernelError, StorageFault][] = [
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['EIO', 'unavailable'],
  ['EROFS', 'denied'],
  ['EACCES', 'denied'],
];

interface Operation {
  readonly title: string;
  readonly run: (driver: LocalDriver) => Promise<unknown>;
  /** What may be read under `r/blobs/to` afterwards. */
  readonly allowed: readonly (string | null)[];
}

const OLD = 'the old content';

const operations: readonly Operation[] = [
  {
    title: 'put of a new file',
    run: (driver) => driver.put('r/new/deep/file', [Buffer.from('new')], OPTIONS),
    allowed: [OLD],
  },
  {
    title: 'put over a file',
    run: (driver) => driver.put('r/blobs/to', [Buffer.from('new'), Buffer.from(' content')], OPTIONS),
    allowed: [OLD, 'new content'],
  },
  {
    title: 'move over a file',
    run: (driver) => driver.move('r/blobs/from', 'r/blobs/to', OPTIONS),
    allowed: [OLD, 'from'],
  },
  {
    title: 'link over a file',
    run: (driver) => driver.link('r/blobs/from', 'r/blobs/to', OPTIONS),
    allowed: [OLD, 'from'],
  },
  { title: 'delete', run: (driver) => driver.delete('r/blobs/to', OPTIONS), allowed: [OLD, null] },
  {
    title: 'an upload: create, write, sync, close',
    run: async (driver) => {
      const writer = await driver.createWriter('r/.uploads/one');
      try {
        await writer.write(Buffer.from('text'));
        await writer.sync();
      } finally {
        await writer.close();
      }
    },
    allowed: [OLD],
  },
  {
    title: 'a large upload: past the page cache, but for its end',
    run: async (driver) => {
      const writer = await driver.createWriter('r/.uploads/large');
      try {
        await writer.write(pageAligned(300_000));
        await writer.sync();
      } finally {
        await writer.close();
      }
    },
    allowed: [OLD],
  },
  {
    title: 'reads',
    run: async (driver) => {
      await driver.stat('r/blobs/to');
      await driver.read('r/blobs/to', 100);
      await (await driver.openWriter('r/blobs/to'))?.close();
      await Array.fromAsync(driver.list('r/blobs'));
      await driver.freeSpace();
    },
    allowed: [OLD],
  },
];

describe('the local driver when a call of the file system fails', { timeout: 60_000 }, () => {
  let top: string;
  let count = 0;
  before(async () => {
    top = await mkdtemp(join(tmpdir(), 'zot-faults-'));
  });
  after(() => rm(top, { recursive: true }));

  const prepare = async () => {
    count += 1;
    const root = join(top, String(count));
    const files = new FaultyFileSystem();
    const driver = new LocalDriver(root, files);
    for (const [name, text] of [
      ['to', OLD],
      ['from', 'from'],
    ] as const) {
      await driver.put(`r/blobs/${name}`, [Buffer.from(text)], OPTIONS);
    }
    return { root, files, driver: new LocalDriver(root, files) };
  };

  for (const { title, run, allowed } of operations) {
    test(title, async (context) => {
      const descriptors = await openDescriptors();
      let attempts = 0;
      for (const [error, fault] of faults) {
        for (let at = 1; at <= CALLS_MAX; at += 1) {
          const { root, files, driver } = await prepare();
          files.arm({ at, error });
          const outcome = await run(driver).then(
            () => null,
            (thrown: unknown) => thrown,
          );
          const where = `${error} at call ${at}, ${files.calls.at(at - 1)}`;
          if (files.failed === 0) break;
          attempts += 1;
          files.arm(null);
          assert.ok(outcome instanceof StorageError, `${where}: ${String(outcome)}`);
          assert.equal(outcome.fault, fault, where);
          const found = (await driver.read('r/blobs/to', 100))?.toString() ?? null;
          assert.ok(allowed.includes(found), `${where}: ${found}`);
          const left = (await readdir(join(root, 'r/.uploads'))).filter((name) => name.startsWith('.stage'));
          assert.deepEqual(left, [], where);
          await driver.put('r/blobs/to', [Buffer.from('again')], {
            ...OPTIONS,
            stagingPath: 'r/.uploads/.stage-2',
          });
          assert.equal((await driver.read('r/blobs/to', 100))?.toString(), 'again', where);
        }
      }
      assert.ok(attempts >= faults.length * 2, `only ${attempts} attempts`);
      assert.equal(await openDescriptors(), descriptors, 'descriptors were left open');
      context.diagnostic(`${attempts} faults`);
    });
  }
});

async function openDescriptors(): Promise<number> {
  return process.platform === 'linux' ? (await readdir('/proc/self/fd')).length : 0;
}
