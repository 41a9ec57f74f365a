import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBuckets } from './token-buckets.ts';

test('a bucket holds a second’s worth, and fills at its rate', () => {
  let nowMs = 0;
  const buckets = new TokenBuckets(() => nowMs);
  const take = (count = 1): number => buckets.take({ key: 'a', ratePerSecond: 4, count }).granted;
  assert.deepEqual([take(), take(), take(), take(), take()], [1, 1, 1, 1, 0]);
  assert.deepEqual(buckets.take({ key: 'a', ratePerSecond: 4, count: 1 }), {
    granted: 0,
    remaining: 0,
    retryAfterMs: 250,
  });
  nowMs += 500;
  assert.equal(take(9), 2, 'what is there of what is wanted');
  nowMs += 60_000;
  assert.equal(take(9), 4, 'no more than a second’s worth');
  assert.equal(buckets.take({ key: 'b', ratePerSecond: 4, count: 1 }).granted, 1, 'each key has its own');
});

test('a rate of 0 gives nothing, without end', () => {
  const buckets = new TokenBuckets(() => 0);
  const { granted, retryAfterMs } = buckets.take({ key: 'a', ratePerSecond: 0, count: 1 });
  assert.deepEqual([granted, retryAfterMs > 60_000], [0, true]);
});

test('the memory of keys is bounded', () => {
  const buckets = new TokenBuckets(() => 0);
  for (let key = 0; key < 120_000; key += 1) buckets.take({ key: String(key), ratePerSecond: 1, count: 1 });
  assert.equal(buckets.size, 50_000);
});
