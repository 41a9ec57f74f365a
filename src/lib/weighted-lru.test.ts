import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { WeightedLru } from './weighted-lru.ts';

describe('a cache bounded by weight', () => {
  test('drops what was not used for longest, until the rest fits', () => {
    const cache = new WeightedLru<string, number>(10);
    cache.set('a', 1, 4);
    cache.set('b', 2, 4);
    assert.equal(cache.get('a'), 1);
    cache.set('c', 3, 4);
    assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c')], [1, undefined, 3]);
    assert.deepEqual([cache.weight, cache.size], [8, 2]);
    cache.set('d', 4, 10);
    assert.deepEqual(
      [cache.get('a'), cache.get('c'), cache.get('d'), cache.size],
      [undefined, undefined, 4, 1],
    );
  });

  test('does not keep what is heavier than its bound, nor the old value in its place', () => {
    const cache = new WeightedLru<string, number>(10);
    cache.set('a', 1, 5);
    cache.set('b', 2, 5);
    cache.set('a', 3, 11);
    assert.deepEqual([cache.get('a'), cache.get('b'), cache.weight], [undefined, 2, 5]);
  });

  test('counts what is replaced or deleted no longer', () => {
    const cache = new WeightedLru<string, number | undefined>(10);
    cache.set('a', 1, 9);
    cache.set('a', 2, 3);
    cache.set('b', undefined);
    assert.deepEqual([cache.weight, cache.size], [4, 2]);
    cache.delete('a');
    cache.delete('a');
    assert.deepEqual([cache.get('a'), cache.weight, cache.size], [undefined, 1, 1]);
  });

  test('behaves as a plain list of entries would', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.nat(8), fc.nat(6)), {
      maxLength: 80,
    });
    fc.assert(
      fc.property(steps, (list) => {
        const cache = new WeightedLru<number, number>(12);
        let model: { key: number; value: number; weight: number }[] = [];
        for (const [step, key, weight] of list) {
          const found = model.find((entry) => entry.key === key);
          const others = model.filter((entry) => entry.key !== key);
          if (step === 'get') assert.equal(cache.get(key), found?.value);
          if (step === 'get' && found) model = [...others, found];
          if (step === 'delete') cache.delete(key);
          if (step === 'delete') model = others;
          if (step !== 'set') continue;
          cache.set(key, weight * 10, weight);
          model = [...others, { key, value: weight * 10, weight }];
          while (model.reduce((sum, entry) => sum + entry.weight, 0) > 12) model.shift();
        }
        assert.equal(cache.size, model.length);
        for (const { key, value } of model) assert.equal(cache.get(key), value);
      }),
    );
  });
});
