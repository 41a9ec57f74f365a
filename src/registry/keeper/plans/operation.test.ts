import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatchChooser, type OperationKeys } from './operation.ts';

const keys = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 3 });
const operations = fc.array(fc.record({ reads: keys, writes: keys, shares: keys }), { maxLength: 12 });

function touch(one: OperationKeys, other: OperationKeys): boolean {
  const changes = (first: OperationKeys, second: OperationKeys): boolean =>
    first.writes.some((key) => [second.reads, second.writes, second.shares].flat().includes(key)) ||
    (first.shares ?? []).some((key) => second.reads.includes(key));
  return changes(one, other) || changes(other, one);
}

/** Runs a queue as the repository does: batch after batch, what is left stays in front. */
function batchesOf(queue: readonly OperationKeys[]): OperationKeys[][] {
  const batches: OperationKeys[][] = [];
  let left = [...queue];
  while (left.length > 0) {
    const chooser = new BatchChooser();
    const verdicts = left.map((operation) => chooser.admit(operation));
    batches.push(left.filter((_, at) => verdicts[at]));
    left = left.filter((_, at) => !verdicts[at]);
  }
  return batches;
}

test('operations of one batch do not touch each other', () => {
  fc.assert(
    fc.property(operations, (queue) => {
      for (const batch of batchesOf(queue)) {
        for (const [at, one] of batch.entries()) {
          for (const other of batch.slice(at + 1)) assert.ok(!touch(one, other));
        }
      }
    }),
  );
});

test('operations that touch each other keep their order, and none is left out', () => {
  fc.assert(
    fc.property(operations, (queue) => {
      const batchOf = new Map(
        batchesOf(queue).flatMap((batch, at) => batch.map((operation) => [operation, at] as const)),
      );
      assert.equal(batchOf.size, queue.length);
      for (const [at, one] of queue.entries()) {
        for (const later of queue.slice(at + 1)) {
          if (touch(one, later)) assert.ok((batchOf.get(one) ?? 0) < (batchOf.get(later) ?? 0));
        }
      }
    }),
  );
});

test('the first of a queue is always admitted, and readers of one key go together', () => {
  assert.equal(new BatchChooser().admit({ reads: ['a'], writes: ['a'] }), true);
  const chooser = new BatchChooser();
  assert.deepEqual(
    [1, 2, 3].map(() => chooser.admit({ reads: ['a'], writes: [] })),
    [true, true, true],
  );
});

test('operations that share what they change stand in one batch', () => {
  const sharing = ['a', 'b'].map((key) => ({ reads: [], writes: [key], shares: ['all'] }));
  assert.deepEqual(batchesOf(sharing), [sharing]);
});
