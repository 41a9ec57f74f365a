import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WatchedPaths } from './watched-paths.ts';

describe('the look at several files', { timeout: 60_000 }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'zot-watched-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('tells of the first look, of writes, renames, swaps of links, and of what goes and comes', async () => {
    const file = path.join(folder, 'file');
    const linked = path.join(folder, 'linked');
    for (const name of ['..1', '..2']) {
      await mkdir(path.join(folder, name));
      await writeFile(path.join(folder, name, 'x'), name);
    }
    await symlink('..1', path.join(folder, '..data'));
    await symlink('..data/x', linked);
    await writeFile(file, 'one');
    const told: PromiseWithResolvers<boolean>[] = [];
    const next = (): Promise<boolean> => {
      const one = Promise.withResolvers<boolean>();
      told.push(one);
      return one.promise;
    };
    const first = next();
    const watched = new WatchedPaths([file, linked], (isFirst) => told.shift()?.resolve(isFirst));
    assert.equal(await first, true);
    const changes: (() => Promise<void>)[] = [
      () => writeFile(file, 'two'),
      async () => {
        await writeFile(`${file}.new`, 'three');
        await rename(`${file}.new`, file);
      },
      async () => {
        await symlink('..2', path.join(folder, '..new'));
        await rename(path.join(folder, '..new'), path.join(folder, '..data'));
      },
      () => rm(file),
      () => writeFile(file, 'back'),
    ];
    for (const change of changes) {
      const heard = next();
      await change();
      assert.equal(await heard, false, String(change));
    }
    const others = next();
    watched.watch([file]);
    assert.equal(await others, true, 'another list is looked at anew');
    watched.close();
  });
});
