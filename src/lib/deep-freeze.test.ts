import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deepFreeze } from './deep-freeze.ts';

test('a frozen value cannot be changed at any depth', () => {
  const value = { list: [{ deep: { er: 1 } }], text: 'a', nothing: null };
  assert.equal(deepFreeze(value), value);
  for (const change of [
    () => (value.text = 'b'),
    () => value.list.push({ deep: { er: 2 } }),
    () => ((value.list[0] as { deep: object }).deep = {}),
    () => ((value.list[0] as { deep: { er: number } }).deep.er = 2),
  ]) {
    assert.throws(change, TypeError);
  }
  assert.deepEqual(
    [deepFreeze(null), deepFreeze(1), deepFreeze('a'), deepFreeze(undefined)],
    [null, 1, 'a', undefined],
  );
});
