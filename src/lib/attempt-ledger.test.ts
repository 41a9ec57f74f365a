import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AttemptLedger } from './attempt-ledger.ts';
import type { Attempt, AttemptOutcome } from './attempt-ledger.ts';

/** A ledger with a clock that the test moves. */
function open() {
  let nowMs = 1_000_000;
  const ledger = new AttemptLedger(() => nowMs);
  const attempt = (subject: string, secret: string, address = '10.0.0.1'): Attempt => ({
    subject,
    address,
    credential: `${subject} ${secret}`,
  });
  return {
    ledger,
    attempt,
    pass: (ms: number): void => void (nowMs += ms),
    /** Tries once; gives the delay that was asked for, or 0. */
    tryOnce: async (tried: Attempt, outcome: AttemptOutcome): Promise<number> => {
      const admission = await ledger.admitAttempt(tried);
      if (!admission.admitted) return admission.retryAfterMs;
      await ledger.settleAttempt(tried, outcome);
      return 0;
    },
  };
}

describe('the ledger of failed attempts', () => {
  test('lets a few failures pass, then asks for delays that double up to five minutes', async () => {
    const { attempt, tryOnce, pass } = open();
    const wrong = attempt('anna', 'wrong');
    for (let free = 0; free < 5; free += 1) assert.equal(await tryOnce(wrong, 'wrong'), 0);
    const delays: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      const delayMs = await tryOnce(wrong, 'wrong');
      delays.push(delayMs / 1000);
      pass(delayMs);
      assert.equal(await tryOnce(wrong, 'wrong'), 0);
    }
    assert.deepEqual(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  });

  test('never holds back whoever comes with credentials that were right before', async () => {
    const { ledger, attempt, tryOnce } = open();
    assert.equal(await tryOnce(attempt('anna', 'right'), 'right'), 0);
    for (let round = 0; round < 100; round += 1) await tryOnce(attempt('anna', `guess ${round}`), 'wrong');
    assert.ok((await tryOnce(attempt('anna', 'guess'), 'wrong')) > 0);
    assert.deepEqual(await ledger.admitAttempt(attempt('anna', 'right')), { admitted: true, known: true });
    // Once they are wrong, they are known no more.
    await ledger.settleAttempt(attempt('anna', 'right'), 'wrong');
    assert.equal((await ledger.admitAttempt(attempt('anna', 'right'))).admitted, false);
  });

  test('forgets after a quarter of an hour, and known credentials after a day', async () => {
    const { ledger, attempt, tryOnce, pass } = open();
    for (let round = 0; round < 6; round += 1) await tryOnce(attempt('anna', 'wrong'), 'wrong');
    assert.ok((await tryOnce(attempt('anna', 'wrong'), 'wrong')) > 0);
    pass(15 * 60_000);
    assert.equal(await tryOnce(attempt('anna', 'right'), 'right'), 0);
    pass(24 * 3_600_000 - 1);
    assert.equal(((await ledger.admitAttempt(attempt('anna', 'right'))) as { known?: boolean }).known, true);
    pass(1);
    assert.equal(((await ledger.admitAttempt(attempt('anna', 'right'))) as { known?: boolean }).known, false);
  });

  test('slows an address down that tries many names, for at most ten seconds', async () => {
    const { attempt, tryOnce, pass } = open();
    for (let name = 0; name < 50; name += 1)
      assert.equal(await tryOnce(attempt(`user ${name}`, 'x'), 'wrong'), 0);
    assert.equal(await tryOnce(attempt('fresh', 'x'), 'wrong'), 250);
    assert.equal(await tryOnce(attempt('fresh', 'x', '10.0.0.2'), 'wrong'), 0);
    for (let round = 0; round < 20; round += 1) {
      const delayMs = await tryOnce(attempt(`more ${round}`, 'x'), 'wrong');
      assert.ok(delayMs <= 10_000);
      pass(delayMs);
      await tryOnce(attempt(`more ${round}`, 'x'), 'wrong');
    }
  });

  test('lets 64 attempts run at once before any failed, and one at a time after too many did', async () => {
    const { ledger, attempt, tryOnce, pass } = open();
    const parallel = attempt('anna', 'pulls');
    for (let running = 0; running < 64; running += 1)
      assert.ok((await ledger.admitAttempt(parallel)).admitted);
    assert.equal((await ledger.admitAttempt(parallel)).admitted, false);
    for (let running = 0; running < 64; running += 1) await ledger.settleAttempt(parallel, 'undecided');
    for (let round = 0; round < 6; round += 1) await tryOnce(attempt('anna', 'wrong'), 'wrong');
    pass(2000);
    assert.ok((await ledger.admitAttempt(attempt('anna', 'a'))).admitted);
    assert.equal((await ledger.admitAttempt(attempt('anna', 'b'))).admitted, false);
  });

  test('counts what could not be found out for nothing', async () => {
    const { attempt, tryOnce } = open();
    for (let round = 0; round < 500; round += 1) {
      assert.equal(await tryOnce(attempt('anna', 'x'), 'undecided'), 0);
    }
  });

  test('keeps a bounded number of entries, however many come', async () => {
    const { ledger, attempt, tryOnce } = open();
    assert.equal(await tryOnce(attempt('first', 'right', '10.0.0.1'), 'right'), 0);
    for (let at = 0; at < 20_001; at += 1) await tryOnce(attempt(`u${at}`, 'right', `10.${at}`), 'right');
    const forgotten = await ledger.admitAttempt(attempt('first', 'right', '10.0.0.1'));
    assert.deepEqual(forgotten, { admitted: true, known: false });
  });
});
