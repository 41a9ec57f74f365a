import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from './pace.ts';
import type { Time } from './time.ts';

const SLICE_MS = 10;
const SLICES = 50;

/** Time that passes only by work and rest. */
class WorkedTime implements Time {
  #elapsedMs = 0;
  readonly nowMs = (): number => this.#elapsedMs;
  readonly elapsedMs = (): number => this.#elapsedMs;

  work(byMs: number): void {
    this.#elapsedMs += byMs;
  }

  after(delayMs: number, work: () => void): () => void {
    this.#elapsedMs += delayMs;
    queueMicrotask(work);
    return () => undefined;
  }
}

/** The share of the time that work gets which is so far behind. */
async function shareAt(urgency: number | undefined): Promise<number> {
  const time = new WorkedTime();
  const pace = new Pace(time);
  const { signal } = new AbortController();
  for (let slice = 0; slice < SLICES; slice += 1) {
    time.work(SLICE_MS);
    await pace.pause(signal, urgency);
  }
  return (SLICES * SLICE_MS) / time.elapsedMs();
}

test('work gets 30 % of the time, and up to 60 % the further it is behind', async () => {
  const shares = [];
  for (const urgency of [undefined, 0, 0.5, 1, -3, 7]) shares.push((await shareAt(urgency)).toFixed(3));
  assert.deepEqual(shares, ['0.300', '0.300', '0.450', '0.600', '0.300', '0.600']);
});

test('work that has caught up gets its usual share at once', async () => {
  const time = new WorkedTime();
  const pace = new Pace(time);
  const { signal } = new AbortController();
  const rests = [];
  for (const urgency of [0, 1, 0]) {
    time.work(SLICE_MS);
    const workedMs = time.elapsedMs();
    await pace.pause(signal, urgency);
    rests.push(Math.round(time.elapsedMs() - workedMs));
  }
  assert.deepEqual(rests, [23, 7, 23]);
});
