import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { pino } from 'pino';
import { AttemptLedger } from '#lib/attempt-ledger';
import { passwordFile } from '../../../test/e2e/access/sign-in.ts';
import type { PasswordFile } from '../../../test/e2e/access/sign-in.ts';
import type { AuditEvent } from '../contract.ts';
import { HtpasswdUsers } from './htpasswd-users.ts';
import { HashingBusy, PasswordHashing } from './password-hashing.ts';
import { PasswordSignIn } from './password-sign-in.ts';
import type { PasswordAttempt, PasswordSource } from './password-source.ts';
import { SignInMemory } from './sign-in-memory.ts';

const logger = pino({ level: 'silent' });

/** A source that counts how often it is asked, and may be made to fail. */
class Counted implements PasswordSource {
  readonly method = 'htpasswd';
  readonly id = 'htpasswd';
  asked = 0;
  answered = 0;
  failing = false;
  busy = false;
  #inner: PasswordSource;

  constructor(inner: PasswordSource) {
    this.#inner = inner;
  }

  async verify(attempt: PasswordAttempt): ReturnType<PasswordSource['verify']> {
    this.asked += 1;
    if (this.failing) throw new Error('out of reach');
    if (this.busy) throw new HashingBusy(2500);
    try {
      return await this.#inner.verify(attempt);
    } finally {
      this.answered += 1;
    }
  }

  holds(username: string, proof: string | null): boolean {
    return this.#inner.holds(username, proof);
  }

  stampOf(username: string): string | null {
    return this.#inner.stampOf(username);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

describe('signing in with a password', { timeout: 60_000 }, () => {
  let file: PasswordFile;
  let hashing: PasswordHashing;
  let users: HtpasswdUsers;
  let source: Counted;
  let memory: SignInMemory;
  let audited: AuditEvent[];
  let signIn: PasswordSignIn;
  let nowMs = 0;
  before(async () => {
    file = await passwordFile({ alice: 'secret', bob: 'hidden' });
    hashing = new PasswordHashing(1);
    users = new HtpasswdUsers(file.path, hashing, logger);
  });
  beforeEach(() => {
    memory = new SignInMemory(() => nowMs);
    audited = [];
    signIn = open();
  });
  after(async () => {
    await users.close();
    await hashing.close();
    await file.remove();
  });

  function open(): PasswordSignIn {
    source = new Counted(users);
    return new PasswordSignIn({
      sources: [source],
      attempts: new AttemptLedger(),
      attemptKey: Buffer.from('key'),
      logger,
      audit: (event) => audited.push(event),
      memory,
      isForeign: (password) => password === 'foreign',
    });
  }

  function verify(user: string, password: string): ReturnType<PasswordSignIn['verify']> {
    const authorization = [`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`];
    return signIn.verify({ authorization, clientAddress: '10.0.0.1' });
  }

  const nameOf = async (user: string, password: string): Promise<string | null> => {
    const verdict = await verify(user, password);
    return verdict === null || 'refused' in verdict ? null : verdict.username;
  };

  test('many requests at once are verified once, and remembered', async () => {
    const names = await Promise.all(Array.from({ length: 50 }, () => nameOf('alice', 'secret')));
    assert.deepEqual(new Set(names), new Set(['alice']));
    assert.equal(await nameOf('alice', 'secret'), 'alice');
    assert.equal(source.asked, 1);
    assert.deepEqual(audited, [
      { action: 'sign-in', subject: 'alice', object: 'htpasswd', outcome: 'allowed', clientIP: '10.0.0.1' },
    ]);
  });

  test(
    'whoever is remembered is verified again beside a request, and forgotten after a minute ' + 'without one',
    async () => {
      await nameOf('alice', 'secret');
      nowMs += 50_000;
      assert.equal(await nameOf('alice', 'secret'), 'alice');
      assert.equal(source.asked, 2, 'behind the request');
      while (source.answered < 2) await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      nowMs += 40_000;
      assert.equal(await nameOf('alice', 'secret'), 'alice');
      assert.equal(source.asked, 2, 'the second time counts on');
      assert.equal(audited.length, 1, 'which is no new sign-in');
      nowMs += 61_000;
      await nameOf('alice', 'secret');
      assert.equal(source.asked, 3);
    },
  );

  test('a wrong password is looked at once, until the stored one changes', async () => {
    for (let again = 0; again < 20; again += 1) assert.equal(await nameOf('bob', 'old'), null);
    assert.equal(await nameOf('nobody', 'old'), null);
    assert.equal(await nameOf('nobody', 'old'), null);
    assert.equal(source.asked, 2);
    nowMs += 301_000;
    assert.equal(await nameOf('bob', 'old'), null);
    assert.equal(source.asked, 3);
    const seen = users.stampOf('bob');
    await file.replace({ alice: 'secret', bob: 'old' });
    while (users.stampOf('bob') === seen) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await nameOf('bob', 'old'), 'bob', 'at once, though it was wrong a moment ago');
  });

  test('what cannot be found out counts for nothing', async () => {
    source.failing = true;
    for (let again = 0; again < 20; again += 1)
      await assert.rejects(verify('alice', 'secret'), /out of reach/);
    source.failing = false;
    assert.equal(await nameOf('alice', 'secret'), 'alice');
  });

  test('who finds no room among those who wait is told when to come again, and nothing is counted', async () => {
    source.busy = true;
    for (let again = 0; again < 20; again += 1) {
      const verdict = await verify('alice', 'secret');
      assert.ok(verdict !== null && 'refused' in verdict);
      assert.equal(verdict.retryAfterSeconds, 3);
    }
    source.busy = false;
    assert.equal(await nameOf('alice', 'secret'), 'alice');
  });

  test('what was verified is known to the next opening, which a changed configuration makes', async () => {
    await nameOf('alice', 'secret');
    await nameOf('alice', 'wrong');
    signIn = open();
    assert.equal(await nameOf('alice', 'secret'), 'alice');
    assert.equal(await nameOf('alice', 'wrong'), null);
    assert.equal(source.asked, 0);
    assert.equal(audited.length, 1);
  });

  test('passwords that are for somebody else, and other schemes, are not looked at', async () => {
    assert.equal(await verify('alice', 'foreign'), null);
    assert.equal(await signIn.verify({ authorization: ['Bearer x'], clientAddress: '' }), null);
    assert.equal(await signIn.verify({ authorization: [], clientAddress: '' }), null);
    assert.equal(source.asked, 0);
  });
});
