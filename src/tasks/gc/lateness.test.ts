import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lateness, lateMax } from './lateness.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

test('garbage may wait for the next sweep, and for its window', () => {
  assert.equal(lateMax({ intervalMs: HOUR_MS, window: null }), HOUR_MS);
  assert.equal(lateMax({ intervalMs: 0, window: null }), MINUTE_MS);
  assert.equal(lateMax({ intervalMs: 1000, window: null }), MINUTE_MS);
  const window = { fromMinute: 60, toMinute: 120 };
  assert.equal(lateMax({ intervalMs: HOUR_MS, window }), 25 * HOUR_MS);
});

test('a sweep is behind by what it deals with now, and catches up', () => {
  const lateness = new Lateness(HOUR_MS, () => 0);
  const degrees = [[], [HOUR_MS], [1.5 * HOUR_MS, 0], [9 * HOUR_MS], [HOUR_MS / 2, -5], []].map((late) => {
    lateness.note(late);
    return lateness.degree;
  });
  assert.deepEqual(degrees, [0, 0, 0.5, 1, 0, 0]);
  assert.equal(lateness.behindMs, 8 * HOUR_MS);
});

test('a sweep that does not end is behind', () => {
  let elapsedMs = 5000;
  const lateness = new Lateness(HOUR_MS, () => elapsedMs);
  const degrees = [0.5, 0.5, 0.25, 5].map((hours) => {
    elapsedMs += hours * HOUR_MS;
    lateness.note([]);
    return lateness.degree;
  });
  assert.deepEqual(degrees, [0, 0, 0.25, 1]);
  assert.equal(lateness.behindMs, 5.25 * HOUR_MS);
});
