import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Largest } from './largest.ts';

describe('the largest of many', { timeout: 20_000 }, () => {
  test('are those that a sort would put first, in whatever order they come', () => {
    const numbers = fc.uniqueArray(fc.integer(), { maxLength: 60 });
    fc.assert(
      fc.property(numbers, fc.integer({ min: 0, max: 70 }), (items, count) => {
        const largest = new Largest<number>(count, (one, other) => other - one);
        for (const item of items) largest.add(item);
        const first = new Set(items.toSorted((one, other) => other - one).slice(0, count));
        for (const item of items) assert.equal(largest.includes(item), first.has(item));
      }),
    );
  });
});
