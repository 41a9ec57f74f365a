/** The simulated disk itself: what it must be able to lose, and what it must keep. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LocalDriver } from '#storage';
import { memoryOf, writeState } from './support/crash-states.ts';
import type { CrashState } from './support/crash-states.ts';
import { PowerCutDisk } from './support/power-cut-disk.ts';

const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

type Work = (disk: PowerCutDisk<string>, path: (name: string) => string) => Promise<void>;

/** The states that hold once everything was done, as texts by name. */
async function statesAfter(work: Work): Promise<Record<string, string>[]> {
  const disk = await PowerCutDisk.create<string>({ seed: 1 });
  try {
    await work(disk, (name) => join(disk.root, name));
    disk.acknowledge('done');
    const states = [...disk.crashStates({ seed: 1, statesPerMomentMax: 1000 })];
    return states.filter(({ promised }) => promised.includes('done')).map(textsOf);
  } finally {
    await disk.remove();
  }
}

function textsOf(state: CrashState<string>): Record<string, string> {
  return Object.fromEntries([...state.files].map(([name, bytes]) => [name, bytes.toString()]));
}

/** Writes a file in pieces; `sync` before it is closed. */
async function write(
  disk: PowerCutDisk<string>,
  path: string,
  pieces: string[],
  sync: boolean,
): Promise<void> {
  const file = await disk.open(path, CREATE, 0o600);
  await file.writev(pieces.map((piece) => Buffer.from(piece)));
  if (sync) await file.sync();
  await file.close();
}

async function syncFolder(disk: PowerCutDisk<string>): Promise<void> {
  const folder = await disk.open(disk.root, constants.O_RDONLY);
  await folder.sync();
  await folder.close();
}

describe('a power cut on the simulated disk', () => {
  test('keeps bytes and names that were synced', async () => {
    const states = await statesAfter(async (disk, path) => {
      await write(disk, path('file'), ['text'], true);
      await syncFolder(disk);
    });
    assert.deepEqual(states, [{ file: 'text' }]);
  });

  test('may lose a name whose folder was not synced, with bytes that were', async () => {
    const states = await statesAfter((disk, path) => write(disk, path('file'), ['text'], true));
    assert.deepEqual(states, [{}, { file: 'text' }]);
  });

  test('may leave an empty file, or zeros, where bytes were not synced', async () => {
    const states = await statesAfter(async (disk, path) => {
      await write(disk, path('file'), ['text'], false);
      await syncFolder(disk);
    });
    assert.deepEqual(states, [{ file: '' }, { file: '\0\0\0\0' }, { file: 'text' }]);
  });

  test('may tear a file at a sector and at a page, and write the end before the beginning', async () => {
    const text = 'x'.repeat(10_000);
    const states = await statesAfter(async (disk, path) => {
      const file = await disk.open(path('file'), CREATE, 0o600);
      for (const part of [text.slice(0, 6000), text.slice(6000)]) await file.writev([Buffer.from(part)]);
      await file.close();
      await syncFolder(disk);
    });
    const found = states.map(({ file = '' }) => file);
    assert.ok(
      found.some((file) => file.length % 4096 === 0 && file.length > 0 && /^x+$/.test(file)),
      'no torn page',
    );
    assert.ok(
      found.some((file) => file.length % 512 === 0 && file.length % 4096 !== 0),
      'no torn sector',
    );
    assert.ok(
      found.some((file) => /^\0{6000}x{4000}$/.test(file)),
      'nothing out of order',
    );
  });

  test('replaces a name as a whole: the old file or the new one', async () => {
    const states = await statesAfter(async (disk, path) => {
      await write(disk, path('file'), ['old'], true);
      await syncFolder(disk);
      await write(disk, path('new'), ['new'], true);
      await disk.rename(path('new'), path('file'));
    });
    assert.ok(states.every(({ file }) => file === 'old' || file === 'new'));
    assert.deepEqual(new Set(states.map(({ file }) => file)), new Set(['old', 'new']));
  });

  test('may bring a removed file back, and keep both names of a renamed one', async () => {
    const removed = await statesAfter(async (disk, path) => {
      await write(disk, path('file'), ['text'], true);
      await syncFolder(disk);
      await disk.unlink(path('file'));
    });
    assert.deepEqual(removed, [{ file: 'text' }, {}]);
    const renamed = await statesAfter(async (disk, path) => {
      await write(disk, path('one'), ['text'], true);
      await syncFolder(disk);
      await disk.rename(path('one'), path('two'));
    });
    assert.ok(renamed.some((state) => state.one === 'text' && state.two === 'text'));
  });

  test('covers with a sync only what was done before the sync began', async () => {
    const states = await statesAfter(async (disk, path) => {
      const folder = await disk.open(disk.root, constants.O_RDONLY);
      const syncing = folder.sync();
      await write(disk, path('late'), ['text'], true);
      await syncing;
      await folder.close();
    });
    assert.deepEqual(states, [{}, { late: 'text' }]);
  });

  test('gives states that can be opened in memory and in a folder alike', async () => {
    const disk = await PowerCutDisk.create<string>({ seed: 2 });
    const folder = await mkdtemp(join(tmpdir(), 'zot-crash-state-'));
    try {
      const options = { durable: true, stagingPath: 'r/.uploads/.stage-1' };
      await new LocalDriver(disk.root, disk).put('r/index.json', [Buffer.from('{}')], options);
      const last = [...disk.crashStates({ seed: 2, statesPerMomentMax: 10 })].at(-1);
      assert.ok(last);
      await writeState(last, folder);
      for (const driver of [await memoryOf(last), new LocalDriver(folder)]) {
        assert.equal((await driver.read('r/index.json', 10))?.toString(), '{}');
      }
    } finally {
      await disk.remove();
      await rm(folder, { recursive: true });
    }
  });
});
