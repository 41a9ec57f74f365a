import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { HashingBusy, PasswordHashing } from './password-hashing.ts';

const stored = hashSync('right', 4);
const slow = hashSync('right', 9);

describe('the hashing of passwords', { timeout: 60_000 }, () => {
  test('runs beside the event loop', async () => {
    const hashing = new PasswordHashing(1);
    try {
      assert.equal(await hashing.verify({ password: 'right', stored, source: 'a', known: false }), true);
      assert.equal(await hashing.verify({ password: 'wrong', stored, source: 'a', known: false }), false);
      let turns = 0;
      const ticking = setInterval(() => (turns += 1), 1);
      await hashing.verify({ password: 'right', stored: hashSync('right', 10), source: 'a', known: false });
      clearInterval(ticking);
      assert.ok(turns > 3, `the loop went on: ${turns} turns`);
    } finally {
      await hashing.close();
    }
  });

  test('one address cannot hold up another, and finds no room beyond its share', async () => {
    const hashing = new PasswordHashing(1);
    const finished: string[] = [];
    const ask = (source: string, known = false): Promise<unknown> =>
      hashing.verify({ password: 'wrong', stored: slow, source, known }).then(
        () => finished.push(known ? `${source} known` : source),
        (error: unknown) => error,
      );
    const flood = Array.from({ length: 40 }, () => ask('loud'));
    const others = [ask('quiet'), ask('loud', true)];
    const answers = await Promise.all(flood);
    await Promise.all(others);
    const refused = answers.filter((answer) => answer instanceof HashingBusy);
    assert.equal(refused.length, 40 - 1 - 16, 'one at work, sixteen waiting');
    assert.ok(finished.indexOf('loud known') <= 1, 'known credentials go first');
    assert.ok(finished.indexOf('quiet') <= 3, `turns: ${finished.join(' ')}`);
    await hashing.close();
  });

  test('many addresses fill the queue, and no more than that', async () => {
    const hashing = new PasswordHashing(1);
    const asked = Array.from({ length: 400 }, (_, at) =>
      hashing
        .verify({ password: 'wrong', stored, source: `address-${at}`, known: false })
        .catch((error: unknown) => error),
    );
    const answers = await Promise.all(asked);
    const refused = answers.filter((answer) => answer instanceof HashingBusy);
    assert.equal(refused.length, 400 - 1 - 256);
    assert.ok(refused.every(({ retryAfterMs }) => retryAfterMs > 0));
    await hashing.close();
  });

  test('a thread that fails fails its own password only', async () => {
    const hashing = new PasswordHashing(1);
    await assert.rejects(
      hashing.verify({ password: 'x', stored: 'no hash at all', source: 'a', known: false }),
    );
    assert.equal(await hashing.verify({ password: 'right', stored, source: 'a', known: false }), true);
    await hashing.close();
    await assert.rejects(
      hashing.verify({ password: 'right', stored, source: 'a', known: false }),
      HashingBusy,
    );
  });
});
