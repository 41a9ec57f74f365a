import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isInWindow, parseTimeWindow } from './time-window.ts';

describe('a daily window', () => {
  test('is read from two times of a 24-hour clock', () => {
    assert.deepEqual(parseTimeWindow('01:30-06:00'), { startMinute: 90, endMinute: 360 });
    assert.deepEqual(parseTimeWindow(' 9:05 - 23:59 '), { startMinute: 545, endMinute: 1439 });
    assert.deepEqual(parseTimeWindow('22:00-04:00'), { startMinute: 1320, endMinute: 240 });
    const wrong = [
      '',
      '-',
      '01:00',
      '01:00-',
      '24:00-01:00',
      '01:60-02:00',
      '1-2',
      '01:00-01:00',
      '01:00-02:00-03:00',
      'a:00-b:00',
    ];
    for (const text of wrong) assert.equal(parseTimeWindow(text), null, text);
  });

  test('begins with its first minute, ends before its last, and may wrap midnight', () => {
    const at = (time: string): Date => new Date(`2026-03-01T${time}Z`);
    const inside = (text: string, time: string): boolean => {
      const window = parseTimeWindow(text);
      assert.ok(window);
      return isInWindow(window, at(time));
    };
    const day = ['01:29:59', '01:30:00', '05:59:59', '06:00:00'].map((time) => inside('01:30-06:00', time));
    assert.deepEqual(day, [false, true, true, false]);
    const night = ['21:59:59', '22:00:00', '00:00:00', '03:59:59', '04:00:00'].map((time) =>
      inside('22:00-04:00', time),
    );
    assert.deepEqual(night, [false, true, true, true, false]);
  });
});
