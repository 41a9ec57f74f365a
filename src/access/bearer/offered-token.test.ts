import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCompactJws, offeredToken } from './offered-token.ts';

test('other schemes are for others, whatever their case', () => {
  assert.equal(offeredToken(undefined), null);
  assert.equal(offeredToken('Basic Og=='), null);
  assert.equal(offeredToken('Bearerx a.b.c'), null);
  assert.equal(offeredToken('bEARER  a.b.c '), 'a.b.c');
});

test('what is too long or no signed token is refused before anything reads it, in no time', () => {
  const startedMs = performance.now();
  for (const token of [
    '.'.repeat(10_000_000),
    'a'.repeat(10_000_000),
    `${'a.'.repeat(5_000_000)}`,
    '',
    'a.b',
    'a.b.c.d',
    'a.b.',
  ]) {
    const found = offeredToken(`Bearer ${token}`);
    assert.ok(found !== null && typeof found === 'object' && found.refused);
    assert.ok(found.reason.length < 100);
    assert.equal(isCompactJws(token), false);
  }
  assert.ok(performance.now() - startedMs < 1000);
});
