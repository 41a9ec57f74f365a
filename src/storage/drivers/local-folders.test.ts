import assert from 'node:assert/strict';
import { mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StorageError } from '../driver.ts';
import { nodeFileSystem } from './file-system.ts';
import type { FileSystem } from './file-system.ts';
import { LocalFolders } from './local-folders.ts';

/** A sync of a folder that has begun and ends when the test says so. */
interface Sync {
  readonly folder: string;
  readonly end: PromiseWithResolvers<void>;
}

describe('the folders of the local driver', { timeout: 30_000 }, () => {
  let root: string;
  let syncs: Sync[];
  /** Ends every sync as soon as it has begun. */
  let atOnce: boolean;
  let made: number;
  let files: FileSystem;
  /** Resolves when a folder was asked for a second time. */
  let madeAgain: PromiseWithResolvers<void>;
  /** Resolves when the next sync has begun. */
  let begun: PromiseWithResolvers<Sync>;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'zot-folders-'));
    syncs = [];
    atOnce = true;
    made = 0;
    madeAgain = Promise.withResolvers();
    begun = Promise.withResolvers();
    files = {
      ...nodeFileSystem,
      mkdir: async (path, options) => {
        made += 1;
        const again = made > 1;
        const first = await nodeFileSystem.mkdir(path, options);
        if (again) madeAgain.resolve();
        return first;
      },
      open: async (path, flags) => {
        const file = await nodeFileSystem.open(path, flags);
        const sync = (): Promise<void> => {
          const started = { folder: relative(root, path), end: Promise.withResolvers<void>() };
          syncs.push(started);
          if (atOnce) started.end.resolve();
          begun.resolve(started);
          begun = Promise.withResolvers();
          return started.end.promise;
        };
        return { fd: file.fd, sync, close: () => file.close() } as Awaited<ReturnType<FileSystem['open']>>;
      },
    };
  });
  afterEach(() => rm(root, { recursive: true }));

  const synced = (): string[] =>
    syncs
      .splice(0)
      .map(({ folder }) => folder)
      .toSorted();

  test('are synced into every folder above them, up to the root, before they hold anything durable', async () => {
    const folders = new LocalFolders(root, files);
    await folders.ensure(join(root, 'a/b/c'), true);
    assert.deepEqual(synced(), ['', 'a', 'a/b']);
    await folders.ensure(join(root, 'a/b/d'), true);
    assert.deepEqual(synced(), ['a/b']);
    await folders.ensure(join(root, 'a/b/c'), true);
    await folders.ensure(join(root, 'a/b'), true);
    assert.deepEqual([synced(), made], [[], 2]);
  });

  test('that were made without syncing, or by another process, are synced when it matters', async () => {
    const hasty = new LocalFolders(root, files);
    await hasty.ensure(join(root, 'a/b'), false);
    await hasty.ensure(join(root, 'a/b'), false);
    assert.deepEqual([synced(), made], [[], 1]);
    await hasty.ensure(join(root, 'a/b/c'), true);
    assert.deepEqual(synced(), ['', 'a', 'a/b']);
    await new LocalFolders(root, files).ensure(join(root, 'a/b'), true);
    assert.deepEqual(synced(), ['', 'a']);
  });

  test('that vanished and were made again are synced again', async () => {
    const folders = new LocalFolders(root, files);
    await folders.ensure(join(root, 'a/b'), true);
    synced();
    await rmdir(join(root, 'a/b'));
    await rmdir(join(root, 'a'));
    folders.forget(join(root, 'a/b'));
    await folders.ensure(join(root, 'a/b'), true);
    assert.deepEqual(synced(), ['', 'a']);
  });

  test('include a root that is made here, with what had to be made above it', async () => {
    const above = root;
    const folders = new LocalFolders(join(above, 'x/root'), files);
    await folders.ensure(join(above, 'x/root/a'), true);
    assert.deepEqual(synced(), ['', 'x', 'x/root']);
    await new LocalFolders(join(above, 'x/root'), files).ensure(join(above, 'x/root/a'), true);
    assert.deepEqual(synced(), ['x/root']);
  });

  test('wanted by two at once are durable for both', async () => {
    const folders = new LocalFolders(root, files);
    atOnce = false;
    const done: string[] = [];
    const firstBegun = begun.promise;
    const first = folders.ensure(join(root, 'a'), true).then(() => done.push('first'));
    const running = await firstBegun;
    // The folder is there, and its name is not on the disk yet.
    const secondBegun = begun.promise;
    const second = folders.ensure(join(root, 'a'), true).then(() => done.push('second'));
    await madeAgain.promise;
    await nextTurn();
    assert.deepEqual(done, []);
    running.end.resolve();
    await first;
    const own = await secondBegun;
    assert.deepEqual(done, ['first']);
    own.end.resolve();
    await second;
  });

  test('cannot be where a file is', async () => {
    const folders = new LocalFolders(root, files);
    await writeFile(join(root, 'file'), '');
    await assert.rejects(folders.ensure(join(root, 'file/a'), true), (error) => {
      assert.ok(error instanceof StorageError);
      assert.deepEqual([error.fault, error.path], ['exists', 'file/a']);
      return true;
    });
  });

  test('are synced for many callers at once, and for none by a sync that began before its call', async () => {
    const folders = new LocalFolders(root, files);
    atOnce = false;
    const done: string[] = [];
    const call = (name: string): Promise<number> => folders.sync(root).then(() => done.push(name));
    const firstBegun = begun.promise;
    const first = call('first');
    const running = await firstBegun;
    const waiting = ['a', 'b', 'c'].map(call);
    const secondBegun = begun.promise;
    running.end.resolve();
    await first;
    const shared = await secondBegun;
    // Whoever asks now was not there when the shared one began.
    const late = call('late');
    assert.deepEqual(done, ['first']);
    const thirdBegun = begun.promise;
    shared.end.resolve();
    await Promise.all(waiting);
    assert.deepEqual(done.toSorted(), ['a', 'b', 'c', 'first']);
    (await thirdBegun).end.resolve();
    await late;
    assert.equal(syncs.length, 3);
    atOnce = true;
    await folders.sync(root);
    assert.equal(syncs.length, 4);
  });

  test('whose sync fails fail the callers it was for, and no others', async () => {
    const folders = new LocalFolders(root, files);
    atOnce = false;
    const firstBegun = begun.promise;
    const first = folders.sync(root);
    const running = await firstBegun;
    const second = folders.sync(root);
    const secondBegun = begun.promise;
    running.end.reject(new Error('EIO'));
    await assert.rejects(first, /EIO/);
    (await secondBegun).end.resolve();
    await second;
    atOnce = true;
    await folders.sync(root);
  });
});
