import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StartError } from '#lib/start-error';
import { refuseFips } from './refuse-fips.ts';

test('FIPS 140 is refused in words, by zot’s switch and by Node’s', () => {
  for (const value of ['fips140=on', 'fips140=only', 'gctrace=1,fips140=on', 'fips140=on,x=1'])
    assert.throws(() => refuseFips(value, false), StartError);
  assert.throws(() => refuseFips('', true), /FIPS 140, which is not supported/);
  for (const value of ['', 'fips140=off', 'notfips140=on', 'gctrace=1']) refuseFips(value, false);
});
