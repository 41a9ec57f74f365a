import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JoinedCalls } from './joined-calls.ts';

test('what is asked for in one turn is one call, and what comes while it runs is the next', async () => {
  const calls: (readonly number[])[] = [];
  const gate = Promise.withResolvers<void>();
  const joined = new JoinedCalls<number>(async (items) => {
    calls.push(items);
    if (calls.length === 1) await gate.promise;
  });
  const first = [joined.run(1), joined.run(2)];
  while (calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await joined.run(3);
  gate.resolve();
  await Promise.all(first);
  assert.deepEqual(calls, [[1, 2], [3]]);
});

test('a fault is that of all in the call, and of no other', async () => {
  const joined = new JoinedCalls<number>(async (items) => {
    if (items.includes(1)) throw new Error('full');
  });
  const ends = await Promise.allSettled([joined.run(1), joined.run(2)]);
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await joined.run(3);
});
