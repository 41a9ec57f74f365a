import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { errorOf } from '../support/client.ts';
import type { Answer } from '../support/client.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { basic, passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';

describe('failed sign-ins', { timeout: 120_000 }, () => {
  let file: PasswordFile;
  let served: Served;
  before(async () => {
    file = await passwordFile({ alice: 'secret-of-hers', bob: 'hidden-by-him' });
    served = await serveRegistry({ http: { auth: { htpasswd: { path: file.path } } } });
  });
  after(async () => {
    await served.close();
    await file.remove();
  });

  const ask = (user: string, password: string): Promise<Answer> =>
    served.request('GET', '/v2/', { headers: basic(user, password) });

  test('of one name are delayed, with the time to wait', async () => {
    const answers: Answer[] = [];
    for (let guess = 0; guess < 8; guess += 1) answers.push(await ask('mallory', `guess ${guess}`));
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    const last = answers.at(-1);
    assert.ok(last);
    assert.equal(errorOf(last).code, 'TOOMANYREQUESTS');
    assert.ok(Number(last.headers['retry-after']) >= 1);
    assert.equal(last.headers['www-authenticate'], undefined);
  });

  test('of a name that exists are answered as those of one that does not', async () => {
    const guesses = async (user: string): Promise<number[]> => {
      const statuses: number[] = [];
      for (let guess = 0; guess < 7; guess += 1) statuses.push((await ask(user, `guess ${guess}`)).status);
      return statuses;
    };
    assert.deepEqual(await guesses('bob'), await guesses('nobody-here'));
  });

  test('do not lock out others behind the same address, nor whoever was right before', async () => {
    assert.equal((await ask('alice', 'secret-of-hers')).status, 200);
    for (let guess = 0; guess < 70; guess += 1) await ask(`user-${guess}`, 'guess');
    for (let guess = 0; guess < 10; guess += 1) await ask('alice', `guess ${guess}`);
    assert.equal((await ask('alice', 'guess')).status, 429);
    assert.equal((await ask('alice', 'secret-of-hers')).status, 200, 'remembered');
    // Somebody new behind the address waits some seconds at most, as often as it takes to get a turn.
    const answer = await ask('somebody', 'new');
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers['retry-after']) <= 10);
  });
});

describe('the time of a refusal', { timeout: 120_000 }, () => {
  /** A cost at which hashing outweighs everything else. */
  const COST = 8;

  test('says nothing about whether the user exists', async () => {
    const file = await passwordFile({ alice: 'secret-of-hers', bob: 'hidden-by-him' }, COST);
    const served = await serveRegistry({ http: { auth: { htpasswd: { path: file.path } } } });
    let guesses = 0;
    const timed = async (user: string): Promise<number> => {
      const startMs = performance.now();
      const headers = basic(user, `guess ${(guesses += 1)}`);
      const { status } = await served.request('GET', '/v2/', { headers });
      assert.equal(status, 401);
      return performance.now() - startMs;
    };
    try {
      await timed('warm-up');
      const known: number[] = [];
      const unknown: number[] = [];
      // In turns, so that whatever else the machine does falls on both; the quickest of each is what it costs.
      for (let round = 0; round < 8; round += 1) {
        known.push(await timed(round % 2 === 0 ? 'alice' : 'bob'));
        unknown.push(await timed(round % 2 === 0 ? 'erin' : 'frank'));
      }
      const [least, most] = [Math.min(...known), Math.min(...unknown)].toSorted((a, b) => a - b);
      assert.ok(
        (most ?? 0) < (least ?? 0) * 2.5,
        `known ${known.join(' ')} ms, unknown ${unknown.join(' ')} ms`,
      );
    } finally {
      await served.close();
      await file.remove();
    }
  });
});
