import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { historyContract } from '../history-contract.suite.ts';
import { openRecords } from '../metadata.ts';

historyContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zot-history-'));
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
});
