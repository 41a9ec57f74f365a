import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatGoDuration, parseGoDuration } from './go-duration.ts';

describe('a duration as Go writes it', () => {
  test('is read in milliseconds', () => {
    const durations: [string, number][] = [
      ['0', 0],
      ['-0', 0],
      ['0s', 0],
      ['1ns', 1e-6],
      ['1us', 1e-3],
      ['1µs', 1e-3],
      ['1μs', 1e-3],
      ['1ms', 1],
      ['1.5s', 1500],
      ['.5s', 500],
      ['1.s', 1000],
      ['1h30m', 5_400_000],
      ['-2m', -120_000],
      ['+24h', 86_400_000],
      ['1m1h', 3_660_000],
      ['100ms200ms', 300],
      ['2562047h', 2562047 * 3_600_000],
    ];
    for (const [text, durationMs] of durations) assert.equal(parseGoDuration(text), durationMs, text);
  });

  test('that Go would refuse is null', () => {
    const wrong = [
      '',
      '-',
      '+',
      '1',
      '5 s',
      '1d',
      '1w',
      's',
      '.s',
      '.',
      '1h 30m',
      '--1s',
      '1S',
      '1e3s',
      '3000000h',
      '٣s',
      '1s\n',
    ];
    for (const text of [...wrong, `${'1'.repeat(300)}s`])
      assert.equal(parseGoDuration(text), null, JSON.stringify(text));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-+]?[0-9.hmsnuµ]{0,12}$/)), (text) => {
        const read = parseGoDuration(text);
        assert.ok(read === null || Number.isFinite(read));
      }),
    );
  });

  test('is written so that it is read back', () => {
    const written = [0, 1, 1500, 5_400_000, -120_000, 0.001, 1e-6, 90_061_001].map(formatGoDuration);
    assert.deepEqual(written, [
      '0s',
      '1ms',
      '1s500ms',
      '1h30m',
      '-2m',
      '0.001ms',
      '0.000001ms',
      '25h1m1s1ms',
    ]);
    fc.assert(
      // Up to 104 days, a double holds every nanosecond.
      fc.property(fc.integer({ min: -9e9, max: 9e9 }), (durationMs) => {
        assert.equal(parseGoDuration(formatGoDuration(durationMs)), durationMs);
      }),
    );
  });
});
