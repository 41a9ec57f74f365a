import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { accountsContract } from '../accounts-contract.suite.ts';
import { openAccountsForReading, openRecords } from '../metadata.ts';

accountsContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zot-accounts-'));
  const records = openRecords(folder);
  const reader = openAccountsForReading(folder);
  return {
    accounts: records.accounts,
    reader,
    close: async () => {
      await reader.close();
      await records.close();
      await rm(folder, { recursive: true });
    },
  };
});

test('accounts survive a restart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zot-accounts-'));
  try {
    const records = openRecords(folder);
    await records.accounts.setGroups('ldap', 'alice', ['a']);
    await records.close();
    const again = openRecords(folder);
    assert.deepEqual(await again.accounts.groupsOf('ldap', 'alice'), ['a']);
    await again.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
