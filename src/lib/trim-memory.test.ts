import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryUsage } from 'node:process';
import { trimMemory } from './trim-memory.ts';

test('garbage of the start is given back at once, and nobody else gets at the collector', () => {
  let garbage: unknown[] | null = Array.from({ length: 100_000 }, (_, index) => ({ index }));
  assert.equal(garbage.length, 100_000);
  const before = memoryUsage().heapUsed;
  garbage = null;
  trimMemory();
  assert.ok(memoryUsage().heapUsed < before - 2_000_000, String(garbage));
  assert.equal('gc' in globalThis, false);
});
