import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { driverContract } from '../driver-contract.suite.ts';
import { StorageError } from '../driver.ts';
import { nodeFileSystem } from './file-system.ts';
import type { FileSystem } from './file-system.ts';
import { localError } from './local-errors.ts';
import { LocalDriver } from './local.ts';

driverContract('local', async () => {
  const root = await mkdtemp(join(tmpdir(), 'zot-driver-'));
  const driver = new LocalDriver(root);
  return { driver, close: () => driver.close().then(() => rm(root, { recursive: true })) };
});

/** A file system without hard links, as some network and removable ones are: there everything is copied. */
const withoutLinks: FileSystem = {
  ...nodeFileSystem,
  link: () => Promise.reject(Object.assign(new Error('no links'), { code: 'ENOTSUP' })),
};

driverContract('local (without hard links)', async () => {
  const root = await mkdtemp(join(tmpdir(), 'zot-driver-'));
  const driver = new LocalDriver(root, withoutLinks);
  return { driver, close: () => driver.close().then(() => rm(root, { recursive: true })) };
});

describe('the local driver', () => {
  const options = { durable: true, stagingPath: 'r/.uploads/.stage-1' };
  let root: string;
  let driver: LocalDriver;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'zot-local-'));
    driver = new LocalDriver(root);
  });
  afterEach(() => rm(root, { recursive: true }));

  const list = async (path: string): Promise<string[]> => {
    const entries = await Array.fromAsync(driver.list(path));
    return entries.map(({ name, kind }) => `${kind} ${name}`).toSorted();
  };

  test('shares the bytes of a file outside, or says that it cannot', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'zot-outside-'));
    try {
      const file = join(outside, 'data');
      await writeFile(file, 'bytes');
      assert.equal(await driver.adopt(file, 'r/.uploads/one', { durable: true }), true);
      assert.equal((await stat(join(root, 'r/.uploads/one'))).ino, (await stat(file)).ino);
      await symlink('data', join(outside, 'leading'));
      assert.equal(await driver.adopt(join(outside, 'leading'), 'r/.uploads/led', { durable: true }), true);
      assert.equal((await lstat(join(root, 'r/.uploads/led'))).ino, (await stat(file)).ino);
      assert.equal(await driver.adopt(join(outside, 'none'), 'r/.uploads/two', { durable: true }), false);
      assert.equal(await driver.adopt(join(outside, 'none'), 'r/.uploads/two', { durable: false }), false);
      const copying = new LocalDriver(root, withoutLinks);
      assert.equal(await copying.adopt(file, 'r/.uploads/two', { durable: true }), false);
      await assert.rejects(driver.adopt(file, 'r/.uploads/one', { durable: false }), { fault: 'exists' });
    } finally {
      await rm(outside, { recursive: true });
    }
  });

  test('keeps files and folders to their owner', async () => {
    await driver.put('r/blobs/file', [Buffer.from('text')], options);
    assert.equal((await stat(join(root, 'r/blobs/file'))).mode & 0o777, 0o600);
    assert.equal((await stat(join(root, 'r/blobs'))).mode & 0o777, 0o700);
    assert.deepEqual(await readdir(join(root, 'r/.uploads')), []);
  });

  test('follows links to files and folders, and passes over those that lead nowhere or to themselves', async () => {
    await driver.put('r/file', [Buffer.from('text')], options);
    await mkdir(join(root, 'folder'));
    for (const [to, name] of [
      ['../r/file', 'to-file'],
      ['../r', 'to-folder'],
      ['none', 'dangling'],
      ['loop', 'loop'],
    ] as const) {
      await symlink(to, join(root, 'folder', name));
    }
    assert.deepEqual(await list('folder'), ['file to-file', 'folder to-folder']);
    assert.equal((await driver.read('folder/to-file', 10))?.toString(), 'text');
    assert.equal((await driver.read('folder/to-folder/file', 10))?.toString(), 'text');
    for (const name of ['dangling', 'loop']) {
      assert.equal(await driver.stat(`folder/${name}`), null);
      assert.equal(await driver.openReader(`folder/${name}`), null);
      assert.deepEqual(await list(`folder/${name}`), []);
    }
    await driver.put('folder/to-file', [Buffer.from('new')], options);
    assert.equal(
      await readFile(join(root, 'r/file'), 'utf8'),
      'text',
      'the link was replaced, not its target',
    );
  });

  test('is not held up by a named pipe, and does not take it for a file', async (context) => {
    try {
      await promisify(execFile)('mkfifo', [join(root, 'pipe')]);
    } catch (error) {
      context.skip(`mkfifo cannot be run: ${String(error)}`);
      return;
    }
    assert.equal(await driver.stat('pipe'), null);
    assert.equal(await driver.openReader('pipe'), null);
    assert.deepEqual(await list(''), []);
  });

  test('shares the bytes of a link, and dates them', async () => {
    await driver.put('a/blobs/one', [Buffer.from('text')], options);
    await utimes(join(root, 'a/blobs/one'), 1000, 1000);
    await driver.link('a/blobs/one', 'b/blobs/two', options);
    const [one, two] = await Promise.all(
      ['a/blobs/one', 'b/blobs/two'].map((path) => stat(join(root, path))),
    );
    assert.deepEqual([one?.ino, one?.nlink], [two?.ino, 2]);
    assert.ok(Date.now() - (one?.mtimeMs ?? 0) < 60_000);
  });

  test('copies where a link cannot be made or dated', async () => {
    await driver.put('a/one', [Buffer.from('text')], options);
    const undated: FileSystem = {
      ...nodeFileSystem,
      utimes: () => Promise.reject(Object.assign(new Error('not the owner'), { code: 'EPERM' })),
    };
    for (const [at, files] of [withoutLinks, undated].entries()) {
      const other = new LocalDriver(root, files);
      await other.link('a/one', `a/copy-${at}`, options);
      assert.equal((await stat(join(root, `a/copy-${at}`))).nlink, 1);
      assert.equal((await driver.read(`a/copy-${at}`, 10))?.toString(), 'text');
    }
    assert.deepEqual(await readdir(join(root, 'r/.uploads')), []);
  });

  test('notices every way in which another tool may change a file', async () => {
    const path = join(root, 'r/index.json');
    const seen = new Set([(await driver.put('r/index.json', [Buffer.from('one')], options)).fingerprint]);
    const changes = [
      () => writeFile(path, 'other'),
      () => utimes(path, 1000, 1000),
      () => link(path, join(root, 'second')),
      () => chmod(path, 0o644),
      () => driver.put('r/index.json', [Buffer.from('other')], options),
    ];
    for (const [at, change] of changes.entries()) {
      // Far more than the clock of a file system ticks, by the file's own time instead of waiting.
      await utimes(path, at + 1, at + 1);
      seen.add((await driver.stat('r/index.json'))?.fingerprint ?? '');
      await change();
      seen.add((await driver.stat('r/index.json'))?.fingerprint ?? '');
    }
    assert.ok(seen.size >= changes.length + 2, `only ${seen.size} fingerprints`);
  });

  test('makes again what was removed under it', async () => {
    for (const round of [1, 2, 3]) {
      await driver.put('r/blobs/one', [Buffer.from(`${round}`)], options);
      await driver.link('r/blobs/one', 'r/links/two', options);
      await driver.move('r/links/two', 'r/moved/three', options);
      await (await driver.createWriter('r/.uploads/new')).close();
      assert.equal((await driver.read('r/moved/three', 10))?.toString(), `${round}`);
      await rm(join(root, 'r'), { recursive: true });
    }
  });

  test('refuses to put a folder where a file is, and a file where a folder is', async () => {
    await writeFile(join(root, 'file'), 'text');
    await mkdir(join(root, 'folder/full'), { recursive: true });
    for (const call of [
      () => driver.put('file/below', [], options),
      () => driver.createWriter('file/below'),
      () => driver.put('folder', [], options),
      () => driver.createWriter('folder'),
    ]) {
      await assert.rejects(call(), { name: 'StorageError', fault: 'exists' });
    }
    assert.equal(await readFile(join(root, 'file'), 'utf8'), 'text');
    assert.deepEqual(await readdir(join(root, 'r/.uploads')), []);
  });

  test('says how much space there is, and nothing before its root exists', async () => {
    const space = await driver.freeSpace();
    assert.ok(space && space.freeBytes > 0 && space.totalBytes >= space.freeBytes);
    assert.equal(await new LocalDriver(join(root, 'not/yet')).freeSpace(), null);
  });

  test('reads as much as a file has that shrinks while it is read', async () => {
    await driver.put('r/file', [Buffer.alloc(1000)], options);
    const reader = await driver.openReader('r/file');
    await writeFile(join(root, 'r/file'), 'short');
    assert.equal(await reader?.read(Buffer.alloc(1000), 0), 5);
    await reader?.close();
  });
});

test('every fault of the system that a store may meet has a name', () => {
  const faults = {
    ENOSPC: 'full',
    EDQUOT: 'full',
    EROFS: 'denied',
    EACCES: 'denied',
    EEXIST: 'exists',
    EIO: 'unavailable',
  };
  for (const [code, fault] of Object.entries({ ...faults, EMFILE: 'unavailable', ENAMETOOLONG: 'invalid' })) {
    const cause = Object.assign(new Error('failed'), { code });
    const error = localError(cause, 'a/b');
    assert.deepEqual(
      [error.fault, error.path, error.message, error.cause],
      [fault, 'a/b', `${code} at a/b`, cause],
    );
  }
  const known = new StorageError('corrupt', 'x');
  assert.equal(localError(known, 'y'), known);
  assert.equal(localError(new TypeError('a bug'), 'y').fault, 'unavailable');
});
