import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import fc from 'fast-check';
import { openRecords } from '#metadata';
import type { Records } from '#metadata';
import type { SignedIn } from '../contract.ts';
import { Origins, lastSignIn } from '../users/origins.ts';
import { CookieCodec, cookieOf } from './session-cookie.ts';
import { Sessions } from './sessions.ts';

const HOUR_MS = 3_600_000;
const keys = { hashKey: Buffer.from('a key'), encryptKey: null };

const alice: SignedIn = {
  username: 'alice',
  origin: 'openid:google',
  groups: ['admins', 'developers'],
  provider: 'google',
  idToken: 'a.very.secret.token',
  proof: null,
};

describe('sessions', () => {
  let folder = '';
  let records: Records;
  let sessions: Sessions;
  let nowMs = 1_800_000_000_000;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'zot-sessions-'));
    records = openRecords(folder);
    const { accounts } = records;
    const origins = new Origins(new Map([['openid:google', lastSignIn(accounts, 'openid:google')]]));
    const logger = pino({ level: 'silent' });
    sessions = new Sessions({
      accounts,
      origins,
      codec: new CookieCodec(keys),
      secure: false,
      logger,
      now: () => nowMs,
    });
  });
  after(async () => {
    sessions.close();
    await records.close();
    rmSync(folder, { recursive: true });
  });

  const requestWith = (cookies: readonly string[]): { headers: { cookie: string } } => ({
    headers: { cookie: cookies.map((text) => text.split(';')[0]).join('; ') },
  });

  test('live for two hours after their last use, and twelve in all', async () => {
    let request = requestWith(await sessions.begin(alice, { headers: {} }));
    for (let hour = 0; hour < 11; hour += 1) {
      nowMs += HOUR_MS;
      const found = await sessions.find(request);
      assert.ok(found, `after ${hour + 1} hours`);
      assert.equal(found.cookies.length > 0, hour < 10, 'the cookie lives on');
      if (found.cookies.length > 0) request = requestWith(found.cookies);
    }
    nowMs += HOUR_MS;
    assert.equal(await sessions.find(request), null, 'after twelve hours');
    const unused = requestWith(await sessions.begin(alice, { headers: {} }));
    nowMs += 2 * HOUR_MS;
    assert.equal(await sessions.find(unused), null, 'two hours without use');
  });

  test('have the groups of the last sign-in of their user, wherever that was (CVE-2025-23208)', async () => {
    const request = requestWith(await sessions.begin(alice, { headers: {} }));
    assert.deepEqual((await sessions.find(request))?.groups, ['admins', 'developers']);
    await sessions.begin({ ...alice, groups: ['developers'] }, { headers: {} });
    assert.deepEqual((await sessions.find(request))?.groups, ['developers']);
  });

  test('of an origin that is no longer configured are none', async () => {
    const request = requestWith(await sessions.begin({ ...alice, origin: 'openid:gone' }, { headers: {} }));
    assert.equal(await sessions.find(request), null);
  });

  test('give back the token of the provider when they end, once', async () => {
    const request = requestWith(await sessions.begin(alice, { headers: {} }));
    assert.deepEqual(await sessions.end(request), {
      username: 'alice',
      provider: 'google',
      idToken: 'a.very.secret.token',
    });
    assert.equal(await sessions.end(request), null);
    assert.equal(await sessions.find(request), null);
  });

  test('leave nothing in the records with which a reader could sign in', async () => {
    const cookies = await sessions.begin(alice, { headers: {} });
    const value = cookieOf(requestWith(cookies).headers.cookie, 'session') ?? '';
    const id = value.split('.')[0] ?? '';
    const db = new DatabaseSync(join(folder, 'records.db'), { readOnly: true });
    const rows = JSON.stringify(db.prepare('SELECT * FROM sessions').all());
    db.close();
    for (const secret of [id, value, 'a.very.secret.token']) assert.ok(!rows.includes(secret), secret);
  });
});

describe('the cookie of a session', () => {
  const codecs = [null, 16, 24, 32].map(
    (size) =>
      new CookieCodec({
        hashKey: Buffer.from('k'),
        encryptKey: size === null ? null : Buffer.alloc(size, 7),
      }),
  );

  test('gives back what went in, and shows nothing of it when encrypted', () => {
    for (const codec of codecs) assert.equal(codec.open(codec.seal('the-id')), 'the-id');
    for (const codec of codecs.slice(1)) assert.ok(!codec.seal('the-id').includes('the-id'));
  });

  test('with any character changed is none', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.constantFrom(...codecs),
        fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_', '.'),
        (seed, codec, char) => {
          const value = codec.seal('the-id-of-a-session');
          const at = seed % value.length;
          const changed = value.slice(0, at) + char + value.slice(at + 1);
          // The last character of base64 carries fewer bits: another one may mean the same bytes.
          const opened = codec.open(changed);
          assert.ok(opened === null || opened === 'the-id-of-a-session');
          if (at < value.length - 1 && changed !== value && value[at + 1] !== '.') assert.equal(opened, null);
        },
      ),
    );
  });

  test('of other keys is none, and any text can be tried', () => {
    const other = new CookieCodec({ hashKey: Buffer.from('other'), encryptKey: null });
    for (const codec of codecs) assert.equal(other.open(codec.seal('id')), null);
    fc.assert(fc.property(fc.string(), (text) => codecs.every((codec) => codec.open(text) === null)));
  });

  test('is found among others', () => {
    assert.equal(cookieOf('a=1; session=x=y; b=2', 'session'), 'x=y');
    assert.equal(cookieOf('xsession=1;session =2', 'session'), '2');
    assert.equal(cookieOf(['a=1', 'session=3'], 'session'), '3');
    assert.equal(cookieOf('session', 'session'), null);
    assert.equal(cookieOf(undefined, 'session'), null);
  });
});
