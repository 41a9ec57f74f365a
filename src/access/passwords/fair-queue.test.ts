import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FairQueue } from './fair-queue.ts';

function drain(queue: FairQueue<string>): string[] {
  const taken: string[] = [];
  for (let entry = queue.take(); entry !== null; entry = queue.take()) taken.push(entry);
  return taken;
}

describe('the fair queue', () => {
  test('sources take turns, however much one of them puts in', () => {
    const queue = new FairQueue<string>({ total: 100, perSource: 50 });
    for (let at = 0; at < 4; at += 1) queue.add('loud', `loud-${at}`, 'fair');
    queue.add('quiet', 'quiet-0', 'fair');
    queue.add('other', 'other-0', 'fair');
    assert.deepEqual(drain(queue), ['loud-0', 'quiet-0', 'other-0', 'loud-1', 'loud-2', 'loud-3']);
  });

  test('the fast lane goes first and has room of its own', () => {
    const queue = new FairQueue<string>({ total: 2, perSource: 2 });
    assert.ok(queue.add('a', 'a-0', 'fair'));
    assert.ok(queue.add('b', 'b-0', 'fair'));
    assert.ok(!queue.add('c', 'c-0', 'fair'));
    assert.ok(queue.add('c', 'c-1', 'fast'));
    assert.deepEqual(drain(queue), ['c-1', 'a-0', 'b-0']);
  });

  test('one source fills its own share only', () => {
    const queue = new FairQueue<string>({ total: 10, perSource: 3 });
    const taken = Array.from({ length: 10 }, (_, at) => queue.add('loud', `${at}`, 'fair'));
    assert.equal(taken.filter(Boolean).length, 3);
    assert.ok(queue.add('quiet', 'q', 'fair'));
  });

  test('nothing is lost, doubled or taken out of turn within a source', () => {
    const steps = fc.array(fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.constant(null)), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (sources) => {
        const queue = new FairQueue<string>({ total: 20, perSource: 8 });
        const accepted: string[] = [];
        const taken: string[] = [];
        for (const [at, source] of sources.entries()) {
          if (source === null) taken.push(...[queue.take()].filter((entry) => entry !== null));
          else if (queue.add(source, `${source}-${at}`, 'fair')) accepted.push(`${source}-${at}`);
        }
        taken.push(...drain(queue));
        assert.equal(queue.length, 0);
        assert.deepEqual(taken.toSorted(), accepted.toSorted());
        for (const source of ['a', 'b', 'c']) {
          const own = (list: readonly string[]): string[] => list.filter((entry) => entry.startsWith(source));
          assert.deepEqual(own(taken), own(accepted));
        }
      }),
    );
  });
});
