import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { editDistance, nearestName } from './edit-distance.ts';

describe('the distance of two words', () => {
  test('counts letters inserted, deleted, replaced or swapped', () => {
    const pairs: [string, string, number][] = [
      ['', '', 0],
      ['', 'abc', 3],
      ['port', 'port', 0],
      ['prot', 'port', 1],
      ['adress', 'address', 1],
      ['kitten', 'sitting', 3],
      ['ca', 'abc', 3],
    ];
    for (const [from, to, distance] of pairs) assert.equal(editDistance(from, to), distance, `${from} ${to}`);
  });

  test('is the same both ways, 0 for equal words only, and at most the longer length', () => {
    const word = fc.stringMatching(/^[abc]{0,8}$/);
    fc.assert(
      fc.property(word, word, (from, to) => {
        const distance = editDistance(from, to);
        assert.equal(distance, editDistance(to, from));
        assert.equal(distance === 0, from === to);
        assert.ok(distance <= Math.max(from.length, to.length));
        assert.ok(distance >= Math.abs(from.length - to.length));
      }),
    );
  });
});

describe('the nearest known name', () => {
  const known = ['address', 'port', 'rootDirectory', 'realm', 'readOnly', 'tls'];

  test('is the one that was meant', () => {
    assert.equal(nearestName('adress', known), 'address');
    assert.equal(nearestName('ROOTDIRECTORY', known), 'rootDirectory');
    assert.equal(nearestName('rootDir', known), 'rootDirectory');
    assert.equal(nearestName('prot', known), 'port');
  });

  test('is none when nothing is near, or when two are begun alike', () => {
    assert.equal(nearestName('somethingElse', known), null);
    assert.equal(nearestName('xyz', known), null);
    assert.equal(nearestName('x'.repeat(10_000), known), null);
    assert.equal(nearestName('', known), null);
    assert.equal(nearestName('a', []), null);
  });
});
