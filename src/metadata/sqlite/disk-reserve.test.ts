import assert from 'node:assert/strict';
import { access, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { DiskReserve } from './disk-reserve.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zot-reserve-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const full = Object.assign(new Error('database or disk is full'), { errcode: 13 });

test('takes real room, and gives it up for work that finds none', async () => {
  const reserve = new DiskReserve(folder);
  await reserve.renew();
  const { size, blocks } = await stat(join(folder, 'reserve'));
  assert.equal(size, 1024 * 1024);
  assert.ok(blocks * 512 >= size, 'the file has holes');
  let attempts = 0;
  const result = await reserve.with(() => {
    attempts += 1;
    if (attempts === 1) throw full;
    return 'done';
  });
  assert.equal(result, 'done');
  await assert.rejects(access(join(folder, 'reserve')), { code: 'ENOENT' });
});

test('lets the fault through when there is nothing to give up, and every other fault', async () => {
  const reserve = new DiskReserve(folder);
  const failing = (): never => {
    throw full;
  };
  await assert.rejects(reserve.with(failing), full);
  await reserve.renew();
  const other = new Error('something else');
  await assert.rejects(
    reserve.with(() => Promise.reject(other)),
    other,
  );
  await access(join(folder, 'reserve'));
});

test('a folder that refuses it is let be', async () => {
  await rm(folder, { recursive: true });
  await new DiskReserve(folder).renew();
  // Neither can the reserve be made there, nor what is left of it be removed.
  await writeFile(folder, '');
  await new DiskReserve(folder).renew();
});
