import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { driverContract } from '../driver-contract.suite.ts';
import { LocalDriver } from './local.ts';

driverContract('local', async () => {
  const root = await mkdtemp(join(tmpdir(), 'zot-driver-'));
  const driver = new LocalDriver(root);
  return { driver, close: () => driver.close().then(() => rm(root, { recursive: true })) };
});
