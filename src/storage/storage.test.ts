import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseRepoName } from '#oci/repo-name';
import { nodeFileSystem } from './drivers/file-system.ts';
import { LocalDriver } from './drivers/local.ts';
import { MemoryDriver } from './drivers/memory.ts';
import { Storage } from './storage.ts';
import type { Store } from './storage.ts';

const LAYOUT = ['oci-layout', 'index.json'];

describe('the walk over a storage', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'zot-storage-'));
  });
  after(() => rm(root, { recursive: true }));

  const make = async (...paths: string[]): Promise<void> => {
    for (const path of paths) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), '{}');
    }
  };
  const layout = (name: string): Promise<void> => make(...LAYOUT.map((file) => `${name}/${file}`));

  test('finds repositories, nested ones too, in order, and nothing else', async () => {
    const deep = Array.from({ length: 60 }, () => 'd').join('/');
    for (const name of ['b', 'a', 'a/b', 'a/b/c/d', 'with-dash.and_more', 'blobs', deep]) await layout(name);
    // No repositories: by their names, or because no index.json is there.
    for (const name of [
      '_zot/x',
      '_trivy/db',
      '.sync/x',
      'Upper/case',
      'lost+found/x',
      'a/blobs/x',
      'a/.uploads/x',
    ]) {
      await layout(name);
    }
    await make(
      'half/index.json',
      'other/oci-layout',
      'a/blobs/sha256/0123',
      'meta.db',
      'index.json',
      'oci-layout',
    );
    await mkdir(join(root, 'folders/oci-layout'), { recursive: true });
    await mkdir(join(root, 'folders/index.json'), { recursive: true });
    await symlink(join(root, 'b'), join(root, 'linked'));
    await symlink(join(root, 'none'), join(root, 'dangling'));
    const storage = new Storage([{ route: '', driver: new LocalDriver(root), durable: false }]);
    const problems: string[] = [];
    const found = await Array.fromAsync(storage.repositories((path) => problems.push(path)));
    assert.deepEqual(
      found,
      ['a', 'a/b', 'a/b/c/d', 'b', 'blobs', deep, 'half', 'linked', 'with-dash.and_more'].toSorted(),
    );
    assert.deepEqual(problems, []);
  });

  test('goes on past a folder that cannot be read, and tells of it', async () => {
    await layout('locked/inside');
    const driver = new LocalDriver(root, {
      ...nodeFileSystem,
      // Permissions do not hold root back, so the file system itself refuses here.
      opendir: (path, options) =>
        path.endsWith('/locked')
          ? Promise.reject(Object.assign(new Error('refused'), { code: 'EACCES' }))
          : nodeFileSystem.opendir(path, options),
    });
    const storage = new Storage([{ route: '', driver, durable: false }]);
    const problems: string[] = [];
    const found = await Array.fromAsync(
      storage.repositories((path, error) =>
        problems.push(`${path}: ${error instanceof Error ? error.message : ''}`),
      ),
    );
    assert.ok(
      found.includes(parseRepoName('with-dash.and_more')) && !found.includes(parseRepoName('locked/inside')),
    );
    assert.deepEqual(problems, ['locked: EACCES at locked']);
  });

  test('of a root that does not exist finds nothing', async () => {
    const storage = new Storage([{ route: '', driver: new LocalDriver(join(root, 'none')), durable: false }]);
    assert.deepEqual(await Array.fromAsync(storage.repositories(assert.fail)), []);
  });
});

describe('a storage of several stores', () => {
  const store = (route: string): Store => ({ route, driver: new MemoryDriver(), durable: false });
  const main = store('');
  const team = store('/team');
  const alone = store('/');

  test('gives a repository to the store of its first component, as zot does', () => {
    const storage = new Storage([main, team, alone]);
    const routes = ['team/a', 'team/a/b', 'team', 'teams/a', 'other', 'a/team'].map(
      (name) => storage.storeOf(parseRepoName(name)).route,
    );
    assert.deepEqual(routes, ['/team', '/team', '/', '', '/', '']);
    assert.equal(storage.shareStore(parseRepoName('team/a'), parseRepoName('team/b')), true);
    assert.equal(storage.shareStore(parseRepoName('team/a'), parseRepoName('other/b')), false);
    assert.equal(new Storage([main]).storeOf(parseRepoName('team')).route, '');
  });

  test('lists a repository only where it is served from', async () => {
    for (const { driver } of [main, team]) {
      for (const file of LAYOUT) {
        for (const name of ['team/a', 'x/y'])
          await driver.put(`${name}/${file}`, [], { durable: false, stagingPath: '' });
      }
    }
    const storage = new Storage([main, team]);
    assert.deepEqual(await Array.fromAsync(storage.repositories(assert.fail)), ['x/y', 'team/a']);
    await storage.close();
  });
});
