import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isDeeperThan } from './json-depth.ts';

/** The depth of a value, counted as the text shows it. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('the depth of a JSON text', () => {
  test('is that of its value, whatever brackets stand in its texts', () => {
    const text = fc.stringMatching(/^[[\]{}"\\a]{0,12}$/);
    const key = fc.oneof(text, fc.constant('__proto__'));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 6 },
        text,
        fc.integer(),
        fc.array(tie('value')),
        fc.dictionary(key, tie('value')),
      ),
    }));
    fc.assert(
      fc.property(value, (sample) => {
        const bytes = Buffer.from(JSON.stringify(sample));
        const depth = depthOf(sample);
        assert.equal(isDeeperThan(bytes, depth), false);
        if (depth > 0) assert.equal(isDeeperThan(bytes, depth - 1), true);
      }),
    );
  });

  test('can be asked of any bytes', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void isDeeperThan(bytes, 3)));
    for (const text of ['"', '"\\', '"\\"', '}}}}[', '"[[[['])
      assert.equal(isDeeperThan(Buffer.from(text), 1), false);
  });

  test('of 4 MiB is known at once', () => {
    const startedMs = performance.now();
    assert.equal(isDeeperThan(Buffer.from('['.repeat(4 << 20)), 100), true);
    assert.equal(isDeeperThan(Buffer.from(`["${'x'.repeat(4 << 20)}"]`), 100), false);
    assert.ok(performance.now() - startedMs < 1000);
  });
});
