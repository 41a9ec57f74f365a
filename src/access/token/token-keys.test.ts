import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Accounts } from '../contract.ts';
import { Origins } from '../users/origins.ts';
import type { Voucher } from '../users/origins.ts';
import { OwnTokens } from './own-tokens.ts';
import { KEY_LIFE_MS, TokenKeys } from './token-keys.ts';

const DAY = 20_000;

/** Shared keys as the records hold them, and nothing else: the rest is not asked. */
function keyRecords(): { accounts: Accounts; names: () => string[] } {
  const keys = new Map<string, Buffer>();
  const accounts: Pick<Accounts, 'findSharedKey' | 'keepSharedKey' | 'removeSharedKeys'> = {
    findSharedKey: async (name) => keys.get(name) ?? null,
    keepSharedKey: async (name, key) => {
      if (!keys.has(name)) keys.set(name, key);
      return keys.get(name) ?? key;
    },
    removeSharedKeys: async (from, before) => {
      for (const name of keys.keys()) if (name >= from && name < before) keys.delete(name);
    },
  };
  // Only these three are used by what is tried here.
  return { accounts: accounts as Accounts, names: () => [...keys.keys()] };
}

test('all processes sign with one key a day; yesterday’s still verifies, older ones are gone', async () => {
  const { accounts, names } = keyRecords();
  let nowMs = DAY * KEY_LIFE_MS;
  const [one, two] = [new TokenKeys(accounts, () => nowMs), new TokenKeys(accounts, () => nowMs)];
  const [a, b] = await Promise.all([one.current(), two.current()]);
  assert.equal(a.kid, b.kid);
  assert.ok(a.privateKey.equals(b.privateKey));
  nowMs += KEY_LIFE_MS;
  const next = await two.current();
  assert.notEqual(next.kid, a.kid);
  assert.ok((await new TokenKeys(accounts, () => nowMs).find(a.kid)) !== null);
  assert.deepEqual(names(), [a.kid, next.kid]);
  nowMs += KEY_LIFE_MS;
  assert.equal(await two.find(a.kid), null);
  await two.current();
  assert.equal(names().includes(a.kid), false);
  for (const kid of [undefined, 1, ['x'], 'token-key-', '../token-key-00020000', 'session-cookies']) {
    assert.equal(await two.find(kid), null);
    assert.equal(two.isOurs(kid), false);
  }
});

test('a token lives as long as it says, in every process and after a restart', async () => {
  const { accounts } = keyRecords();
  let nowMs = DAY * KEY_LIFE_MS;
  const standing: Voucher = {
    standing: async (username) => (username === 'gone' ? null : { groups: ['team'] }),
  };
  const open = (service = 'registry'): OwnTokens =>
    new OwnTokens({
      accounts,
      origins: new Origins(new Map([['htpasswd', standing]])),
      service,
      lifetimeMs: 300_000,
      now: () => nowMs,
    });
  const identity = { groups: [], method: 'htpasswd', claims: null, scope: null, scopeOnly: false } as const;
  const issuer = open();
  const { token, expiresInSeconds } = await issuer.issue({ ...identity, username: 'alice' }, []);
  assert.equal(expiresInSeconds, 300);
  const found = await open().identify(token, false);
  assert.deepEqual(
    [found.username, found.groups, found.method, found.origin],
    ['alice', ['team'], 'token', 'htpasswd'],
  );
  await assert.rejects(open('another').identify(token, false), /not for this service/);
  const gone = await issuer.issue({ ...identity, username: 'gone' }, []);
  await assert.rejects(open().identify(gone.token, false), /no longer stands/);
  nowMs += 299_000;
  await issuer.identify(token, false);
  nowMs += 1000;
  await assert.rejects(issuer.identify(token, false), /expired/);
  await assert.rejects(open().identify(token, false), /expired/);
  const short = await issuer.issue({ ...identity, username: 'a', claims: { exp: nowMs / 1000 + 20 } }, []);
  assert.equal(short.expiresInSeconds, 20, 'never longer than what it was had for');
});
