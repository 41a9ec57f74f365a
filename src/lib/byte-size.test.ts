import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatByteSize, parseByteSize } from './byte-size.ts';

describe('a size in bytes', () => {
  test('is read in units of 1000 and of 1024, in any case and with a blank', () => {
    const sizes: [string, number][] = [
      ['0', 0],
      ['4194304', 4_194_304],
      ['1b', 1],
      ['1kB', 1000],
      ['1KiB', 1024],
      ['10k', 10_240],
      ['4MiB', 4_194_304],
      ['4 mib', 4_194_304],
      [' 1.5 GB ', 1_500_000_000],
      ['1.5g', 1_610_612_736],
      ['0.0000001k', 0],
      ['2TiB', 2_199_023_255_552],
      ['8191t', 8191 * 1024 ** 4],
    ];
    for (const [text, sizeBytes] of sizes) assert.equal(parseByteSize(text), sizeBytes, text);
  });

  test('that is no size is null', () => {
    const wrong = [
      '',
      ' ',
      'k',
      '-1',
      '+1',
      '1,5k',
      '1  k',
      '.5k',
      '1.',
      '1e3',
      '0x10',
      '1 kk',
      '1kbit',
      '٣',
      '1\n2',
      '8192t',
    ];
    for (const text of [...wrong, 'Infinity', 'constructor', '1 toString', '9'.repeat(16)]) {
      assert.equal(parseByteSize(text), null, JSON.stringify(text));
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        const sizeBytes = parseByteSize(text);
        assert.ok(sizeBytes === null || Number.isSafeInteger(sizeBytes));
      }),
    );
  });

  test('is written so that it is read back', () => {
    assert.deepEqual([0, 1, 1024, 1536, 4_194_304].map(formatByteSize), ['0', '1', '1KiB', '1536', '4MiB']);
    fc.assert(
      fc.property(fc.maxSafeNat(), (sizeBytes) => {
        // At most 15 digits are read.
        if (sizeBytes < 1e15) assert.equal(parseByteSize(formatByteSize(sizeBytes)), sizeBytes);
      }),
    );
  });
});
