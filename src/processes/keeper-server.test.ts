import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { parseRepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import type { Keeper } from '#registry';
import { serveKeeper } from './keeper-server.ts';
import { RemoteKeeper } from './remote-keeper.ts';

test('a damaged database is answered with 503', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zot-keeper-'));
  const socketPath = join(folder, 'keeper.sock');
  const damage = Object.assign(new Error('database disk image is malformed'), { errcode: 11 });
  // One method is all that this connection asks for.
  const keeper = { refresh: () => Promise.reject(damage) } as unknown as Keeper;
  const server = await serveKeeper(keeper, socketPath, pino({ level: 'silent' }));
  const remote = new RemoteKeeper(socketPath);
  try {
    await assert.rejects(remote.refresh(parseRepoName('library/app')), (error) => {
      assert.ok(error instanceof RegistryError);
      assert.equal(error.status, 503);
      return true;
    });
  } finally {
    await remote.close();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
