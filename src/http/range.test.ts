import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseContentRange, parseRange } from './range.ts';

/** Pieces of which wrong and right headers are made. */
const pieces = fc.constantFrom(
  'bytes=',
  'bytes',
  '=',
  '-',
  ',',
  ' ',
  '0',
  '9',
  '10',
  '99999999999999999',
  'x',
  '*',
  '/',
  '\t',
);
const headers = fc.oneof(
  fc.string(),
  fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
);

describe('parseRange', () => {
  test('gives parts within the content, in order, apart from each other', () => {
    fc.assert(
      fc.property(headers, fc.nat({ max: 1_000_000 }), (header, sizeBytes) => {
        const ranges = parseRange(header, sizeBytes) ?? [];
        let end = -2;
        for (const { first, last } of ranges) {
          assert.ok(first > end + 1 && first <= last && last < sizeBytes);
          end = last;
        }
        assert.ok(ranges.length <= 16);
      }),
    );
  });

  test('covers exactly the bytes that were asked for', () => {
    const spec = fc
      .tuple(fc.nat({ max: 60 }), fc.nat({ max: 30 }))
      .map(([first, more]) => [first, first + more] as const);
    fc.assert(
      fc.property(
        fc.array(spec, { minLength: 1, maxLength: 16 }),
        fc.integer({ min: 1, max: 100 }),
        (specs, size) => {
          const header = `bytes=${specs.map(([first, last]) => `${first}-${last}`).join(',')}`;
          const covered = new Set<number>();
          for (const { first, last } of parseRange(header, size) ?? [])
            for (let at = first; at <= last; at += 1) covered.add(at);
          for (let at = 0; at < size; at += 1) {
            assert.equal(
              covered.has(at),
              specs.some(([first, last]) => first <= at && at <= last),
            );
          }
        },
      ),
    );
  });

  test('counts a suffix from the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 1000 }), (length, size) => {
        assert.deepEqual(parseRange(`bytes=-${length}`, size), [
          { first: Math.max(0, size - length), last: size - 1 },
        ]);
      }),
    );
  });

  test('ignores other units, and finds nothing in no content', () => {
    assert.equal(parseRange('lines=0-1', 10), null);
    assert.equal(parseRange('x-y=anything at all', 10), null);
    assert.deepEqual(parseRange('bytes=0-', 0), []);
    assert.deepEqual(parseRange('bytes=-5', 0), []);
  });

  test('takes at most 16 parts', () => {
    const header = (count: number): string =>
      `bytes=${Array.from({ length: count }, (_, at) => `${at * 2}-${at * 2}`).join(',')}`;
    assert.equal(parseRange(header(16), 1000)?.length, 16);
    assert.deepEqual(parseRange(header(17), 1000), []);
  });
});

describe('parseContentRange', () => {
  test('reads what clients write', () => {
    for (const header of ['0-9', 'bytes 0-9', 'bytes=0-9', 'bytes 0-9/10', 'bytes 0-9/*', ' 0-9 ']) {
      assert.deepEqual(parseContentRange(header), { first: 0, last: 9 }, header);
    }
  });

  test('gives a place in order, or null', () => {
    fc.assert(
      fc.property(headers, (header) => {
        const range = parseContentRange(header);
        assert.ok(range === null || (range.first <= range.last && Number.isInteger(range.first)));
      }),
    );
    for (const header of ['9-0', '-9', '0-', '0', '0-9-9', '0--9', '+0-9', '0x0-9', '0.0-9', '٠-٩']) {
      assert.equal(parseContentRange(header), null, header);
    }
  });
});
