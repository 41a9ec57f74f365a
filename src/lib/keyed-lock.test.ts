import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KeyedLock } from './keyed-lock.ts';

describe('a lock by key', () => {
  test('runs work of one key in the order of asking, one at a time', async () => {
    const lock = new KeyedLock();
    const events: string[] = [];
    const work = (name: string) => async () => {
      events.push(`${name} begins`);
      await nextTurn();
      events.push(`${name} ends`);
      return name;
    };
    const results = await Promise.all(['a', 'b', 'c'].map((name) => lock.run('key', work(name))));
    assert.deepEqual(results, ['a', 'b', 'c']);
    assert.deepEqual(
      events,
      ['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
  });

  test('lets other keys pass', async () => {
    const lock = new KeyedLock();
    const { promise, resolve } = Promise.withResolvers<void>();
    const held = lock.run('one', () => promise);
    assert.equal(await lock.run('other', async () => 'done'), 'done');
    resolve();
    await held;
  });

  test('goes on after work that failed, whose error reaches its own caller alone', async () => {
    const lock = new KeyedLock();
    const failing = lock.run('key', () => Promise.reject(new Error('no')));
    const after = lock.run('key', async () => 'yes');
    await assert.rejects(failing, /no/);
    assert.equal(await after, 'yes');
    await assert.rejects(
      lock.run('key', () => {
        throw new Error('at once');
      }),
      /at once/,
    );
    assert.equal(await lock.run('key', async () => 'again'), 'again');
  });

  test('keeps its order under many callers who come while others run', async () => {
    const lock = new KeyedLock();
    const order: number[] = [];
    const calls: Promise<void>[] = [];
    for (let at = 0; at < 200; at += 1) {
      calls.push(
        lock.run(at % 3 === 0 ? 'x' : 'y', async () => {
          if (at % 7 === 0) await nextTurn();
          order.push(at);
        }),
      );
      if (at % 10 === 0) await nextTurn();
    }
    await Promise.all(calls);
    for (const rest of [order.filter((at) => at % 3 === 0), order.filter((at) => at % 3 !== 0)]) {
      assert.deepEqual(
        rest,
        rest.toSorted((left, right) => left - right),
      );
    }
    assert.equal(order.length, 200);
  });
});
