import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AttemptLedger } from './attempt-ledger.ts';
import type { Attempt } from './attempt-ledger.ts';

let guesses = 0;

/** An attempt with a secret that was not tried before, unless one is given. */
const attempt = (subject: string, address: string, secret = `guess ${(guesses += 1)}`): Attempt => ({
  subject,
  address,
  credential: `${subject} ${secret}`,
});

/** A ledger with a clock of its own. */
function ledgerAt(): { ledger: AttemptLedger; wait: (ms: number) => void } {
  let nowMs = 1_000_000;
  return { ledger: new AttemptLedger(() => nowMs), wait: (ms) => (nowMs += ms) };
}

async function fail(ledger: AttemptLedger, one: Attempt): Promise<boolean> {
  const { admitted } = await ledger.admitAttempt(one);
  if (admitted) await ledger.settleAttempt(one, 'wrong');
  return admitted;
}

async function waitOf(ledger: AttemptLedger, one: Attempt): Promise<number> {
  const admission = await ledger.admitAttempt(one);
  if (admission.admitted) {
    await ledger.settleAttempt(one, 'undecided');
    return 0;
  }
  return admission.retryAfterMs;
}

describe('the ledger of attempts', () => {
  test('a few mistakes cost nothing, then each doubles the delay, up to five minutes', async () => {
    const { ledger, wait } = ledgerAt();
    const one = (): Attempt => attempt('alice', '10.0.0.1');
    for (let mistake = 0; mistake < 4; mistake += 1) assert.ok(await fail(ledger, one()));
    assert.equal(await waitOf(ledger, one()), 0);
    const delays: number[] = [];
    for (let mistake = 0; mistake < 12; mistake += 1) {
      assert.ok(await fail(ledger, one()));
      const delay = await waitOf(ledger, one());
      delays.push(delay);
      wait(delay);
    }
    assert.deepEqual(delays.slice(0, 4), [1000, 2000, 4000, 8000]);
    assert.equal(Math.max(...delays), 300_000);
  });

  test('what is refused is not counted: the delay ends however often one asks', async () => {
    const { ledger, wait } = ledgerAt();
    const one = (): Attempt => attempt('alice', '10.0.0.1');
    for (let mistake = 0; mistake < 5; mistake += 1) await fail(ledger, one());
    for (let again = 0; again < 1000; again += 1) assert.equal(await fail(ledger, one()), false);
    wait(1001);
    assert.ok(await fail(ledger, one()));
  });

  test('a right password ends the delays of its name', async () => {
    const { ledger, wait } = ledgerAt();
    for (let mistake = 0; mistake < 6; mistake += 1) {
      await fail(ledger, attempt('alice', '10.0.0.1'));
      wait(3000);
    }
    const right = attempt('alice', '10.0.0.1', 'right');
    assert.ok((await ledger.admitAttempt(right)).admitted);
    await ledger.settleAttempt(right, 'right');
    assert.equal(await waitOf(ledger, attempt('alice', '10.0.0.1')), 0);
  });

  test('an address that tries many names is delayed for every name', async () => {
    const { ledger, wait } = ledgerAt();
    for (let name = 0; name < 50; name += 1)
      assert.ok(await fail(ledger, attempt(`user-${name}`, '10.0.0.1')));
    assert.ok((await waitOf(ledger, attempt('somebody', '10.0.0.1'))) > 0);
    assert.equal(await waitOf(ledger, attempt('somebody', '10.0.0.2')), 0, 'another address is not');
    for (let name = 0; name < 20; name += 1) {
      const delay = await waitOf(ledger, attempt(`other-${name}`, '10.0.0.1'));
      assert.ok(delay <= 10_000, 'whoever shares the address waits ten seconds at most');
      wait(delay);
      await fail(ledger, attempt(`other-${name}`, '10.0.0.1'));
    }
  });

  test('credentials that were right before are never delayed, whatever others do', async () => {
    const { ledger } = ledgerAt();
    const own = attempt('alice', '10.0.0.1', 'right');
    assert.deepEqual(await ledger.admitAttempt(own), { admitted: true, known: false });
    await ledger.settleAttempt(own, 'right');
    for (let guess = 0; guess < 100; guess += 1) {
      await fail(ledger, attempt('alice', '10.0.0.1', `guess ${guess}`));
      await fail(ledger, attempt(`user-${guess}`, '10.0.0.1'));
    }
    assert.ok((await waitOf(ledger, attempt('alice', '10.0.0.1'))) > 0);
    assert.deepEqual(await ledger.admitAttempt(own), { admitted: true, known: true });
  });

  test('the same wrong credentials again are no new guess', async () => {
    const { ledger } = ledgerAt();
    for (let again = 0; again < 100; again += 1) {
      assert.ok(await fail(ledger, attempt('alice', '10.0.0.1', 'of last year')));
    }
    assert.equal(await waitOf(ledger, attempt('alice', '10.0.0.1', 'new')), 0);
  });

  test('known credentials that turn out wrong are known no longer', async () => {
    const { ledger, wait } = ledgerAt();
    const own = attempt('alice', '10.0.0.1', 'old');
    await ledger.admitAttempt(own);
    await ledger.settleAttempt(own, 'right');
    await ledger.settleAttempt(own, 'wrong');
    assert.deepEqual(await ledger.admitAttempt(own), { admitted: true, known: false });
    await ledger.settleAttempt(own, 'right');
    wait(25 * 3_600_000);
    assert.deepEqual(await ledger.admitAttempt(own), { admitted: true, known: false });
  });

  test('guesses made at the same time are bounded, and one at a time once some have failed', async () => {
    const { ledger, wait } = ledgerAt();
    const one = (): Attempt => attempt('alice', '10.0.0.1');
    const answers = await Promise.all(Array.from({ length: 500 }, () => ledger.admitAttempt(one())));
    const admitted = answers.filter((answer) => answer.admitted).length;
    assert.equal(admitted, 64);
    for (let at = 0; at < admitted; at += 1) await ledger.settleAttempt(one(), 'wrong');
    wait(400_000);
    const later = await Promise.all(Array.from({ length: 500 }, () => ledger.admitAttempt(one())));
    assert.equal(later.filter((answer) => answer.admitted).length, 1);
  });

  test('a quarter of an hour without a mistake forgets', async () => {
    const { ledger, wait } = ledgerAt();
    const one = (): Attempt => attempt('alice', '10.0.0.1');
    for (let mistake = 0; mistake < 5; mistake += 1) await fail(ledger, one());
    wait(15 * 60_000 + 1);
    for (let mistake = 0; mistake < 4; mistake += 1) assert.ok(await fail(ledger, one()));
  });

  test('guesses that come and go in any order are never more than the delays allow', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 200 }), async (pauses) => {
        const { ledger, wait } = ledgerAt();
        const one = (): Attempt => attempt('alice', '10.0.0.1');
        let guesses = 0;
        let elapsedMs = 0;
        for (const pause of pauses) {
          wait(pause);
          elapsedMs += pause;
          if (await fail(ledger, one())) guesses += 1;
        }
        // Five are free; the delays after them add up to (2^n - 1) seconds, or five minutes each.
        const paid = Math.floor(Math.log2(elapsedMs / 1000 + 1)) + Math.floor(elapsedMs / 300_000) + 1;
        assert.ok(guesses <= 5 + paid, `${guesses} guesses in ${elapsedMs} ms`);
      }),
    );
  });
});
