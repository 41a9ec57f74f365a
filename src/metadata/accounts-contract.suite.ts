/** What every implementation of accounts must do, as a suite of node:test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Accounts, AccountsReader, ApiKeyRecord, SessionRecord } from './accounts-contract.ts';

export interface OpenedAccounts {
  readonly accounts: Accounts;
  /** Looks at the same accounts as another process does. */
  readonly reader: AccountsReader;
  readonly close: () => Promise<void>;
}

const KEY: ApiKeyRecord = {
  hash: 'a'.repeat(64),
  owner: 'alice',
  origin: 'htpasswd',
  uuid: '11111111-1111-4111-8111-111111111111',
  label: 'build "server" \u2713',
  scopes: ['repository:team/**:pull,push'],
  createdMs: 1_000,
  expiresMs: null,
  lastUsedMs: null,
  creatorUserAgent: 'curl/8',
  generatedBy: 'manual',
};

const SESSION: SessionRecord = {
  idHash: 'b'.repeat(64),
  username: 'alice',
  origin: 'openid:google',
  provider: 'google',
  sealedIdToken: 'sealed',
  proof: null,
  createdMs: 1_000,
  expiresMs: 5_000,
};

type Case = (title: string, work: (opened: OpenedAccounts) => Promise<void>) => void;

/** Declares the suite. `open` gives empty accounts for each test. */
export function accountsContract(name: string, open: () => Promise<OpenedAccounts>): void {
  describe(`the ${name} accounts keep the contract of accounts`, () => {
    const accountsTest: Case = (title, work) => {
      test(title, { timeout: 30_000 }, async () => {
        const opened = await open();
        try {
          await work(opened);
        } finally {
          await opened.close();
        }
      });
    };
    apiKeyCases(accountsTest);
    sessionCases(accountsTest);
    otherCases(accountsTest);
  });
}

function apiKeyCases(accountsTest: Case): void {
  accountsTest('a key is found by its hash alone, at once and everywhere', async ({ accounts, reader }) => {
    assert.equal(await reader.findApiKey(KEY.hash), null);
    await accounts.addApiKey(KEY);
    assert.deepEqual(await reader.findApiKey(KEY.hash), KEY);
    assert.equal(await reader.findApiKey('c'.repeat(64)), null);
  });

  accountsTest('a revoked key is gone at once and everywhere', async ({ accounts, reader }) => {
    await accounts.addApiKey(KEY);
    assert.equal(await accounts.removeApiKey('bob', KEY.uuid), false, 'not by somebody else');
    assert.equal(await accounts.removeApiKey('alice', 'other'), false);
    assert.equal(await accounts.removeApiKey('alice', KEY.uuid), true);
    assert.equal(await reader.findApiKey(KEY.hash), null);
    assert.equal(await accounts.removeApiKey('alice', KEY.uuid), false);
  });

  accountsTest('an owner sees their own keys, oldest first', async ({ accounts, reader }) => {
    const second = {
      ...KEY,
      hash: 'd'.repeat(64),
      uuid: 'second',
      createdMs: 2_000,
      expiresMs: 9_000,
      scopes: [],
    };
    await accounts.addApiKey(second);
    await accounts.addApiKey(KEY);
    await accounts.addApiKey({ ...KEY, hash: 'e'.repeat(64), owner: 'Alice', uuid: 'third' });
    assert.deepEqual(await reader.listApiKeys('alice'), [KEY, second]);
    assert.deepEqual(await reader.listApiKeys("' OR 1=1 --"), []);
  });

  accountsTest('the latest use counts, whatever the order', async ({ accounts, reader }) => {
    await accounts.addApiKey(KEY);
    const { hash } = KEY;
    await accounts.touchApiKeys([
      { hash, usedMs: 3_000 },
      { hash: 'f'.repeat(64), usedMs: 1 },
    ]);
    await accounts.touchApiKeys([{ hash, usedMs: 2_000 }]);
    await accounts.touchApiKeys([]);
    assert.equal((await reader.findApiKey(hash))?.lastUsedMs, 3_000);
  });
}

function sessionCases(accountsTest: Case): void {
  accountsTest('a session is found until it ends', async ({ accounts, reader }) => {
    await accounts.addSession(SESSION);
    assert.deepEqual(await reader.findSession(SESSION.idHash), SESSION);
    await accounts.removeSession(SESSION.idHash);
    assert.equal(await reader.findSession(SESSION.idHash), null);
    await accounts.removeSession(SESSION.idHash);
  });

  accountsTest('a session that ended is not brought back by living on', async ({ accounts, reader }) => {
    await accounts.addSession(SESSION);
    await accounts.extendSession(SESSION.idHash, 9_000);
    await accounts.extendSession(SESSION.idHash, 7_000);
    assert.equal((await reader.findSession(SESSION.idHash))?.expiresMs, 9_000);
    await accounts.removeSession(SESSION.idHash);
    await accounts.extendSession(SESSION.idHash, 20_000);
    assert.equal(await reader.findSession(SESSION.idHash), null);
  });

  accountsTest('expired sessions are removed, keys are not', async ({ accounts, reader }) => {
    await accounts.addApiKey({ ...KEY, expiresMs: 1 });
    await accounts.addSession(SESSION);
    await accounts.addSession({ ...SESSION, idHash: 'later', expiresMs: 5_001 });
    await accounts.removeExpired(5_000);
    assert.equal(await reader.findSession(SESSION.idHash), null);
    assert.notEqual(await reader.findSession('later'), null);
    assert.notEqual(await reader.findApiKey(KEY.hash), null);
  });

  accountsTest(
    'nobody has sessions without bound: those that expire first end',
    async ({ accounts, reader }) => {
      for (let at = 0; at < 120; at += 1) {
        await accounts.addSession({ ...SESSION, idHash: `session-${at}`, expiresMs: 10_000 + at });
      }
      await accounts.addSession({ ...SESSION, idHash: 'of bob', username: 'bob' });
      assert.equal(await reader.findSession('session-19'), null);
      assert.notEqual(await reader.findSession('session-20'), null);
      assert.notEqual(await reader.findSession('of bob'), null);
    },
  );
}

function otherCases(accountsTest: Case): void {
  accountsTest('groups are replaced, never added to (CVE-2025-23208)', async ({ accounts, reader }) => {
    assert.deepEqual(await reader.groupsOf('ldap', 'alice'), []);
    await accounts.setGroups('ldap', 'alice', ['admins', 'developers']);
    await accounts.setGroups('openid:google', 'alice', ['others']);
    await accounts.setGroups('ldap', 'alice', ['developers']);
    assert.deepEqual(await reader.groupsOf('ldap', 'alice'), ['developers']);
    assert.deepEqual(await reader.groupsOf('openid:google', 'alice'), ['others']);
  });

  accountsTest('the first shared key of a name stays', async ({ accounts, reader }) => {
    assert.equal(await reader.findSharedKey('cookies'), null);
    const key = Buffer.from([0, 1, 2, 255]);
    assert.deepEqual(Buffer.from(await accounts.keepSharedKey('cookies', key)), key);
    assert.deepEqual(Buffer.from(await accounts.keepSharedKey('cookies', Buffer.from('other'))), key);
    assert.deepEqual(await reader.findSharedKey('cookies'), key);
  });
}
