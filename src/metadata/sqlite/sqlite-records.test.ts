import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { damageContract } from '../damage-contract.suite.ts';
import { favouritesContract } from '../favourites-contract.suite.ts';
import { openRecords } from '../metadata.ts';
import { recordsContract } from '../records-contract.suite.ts';
import type { OpenedRecords } from '../records-contract.suite.ts';

recordsContract('SQLite', open);
favouritesContract('SQLite', open);

damageContract('SQLite records', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zot-records-'));
  let records = openRecords(folder);
  const { damage } = records;
  return {
    damage,
    reader: damage,
    reopen: async () => {
      await records.close();
      records = openRecords(folder);
      return records.damage;
    },
    close: async () => {
      await records.close();
      await rm(folder, { recursive: true });
    },
  };
});

async function open(): Promise<OpenedRecords> {
  const folder = await mkdtemp(join(tmpdir(), 'zot-records-'));
  const records = openRecords(folder);
  let current = records;
  return {
    records,
    reopen: async () => {
      await current.close();
      current = openRecords(folder);
      return current;
    },
    close: async () => {
      await current.close();
      await rm(folder, { recursive: true });
    },
  };
}
