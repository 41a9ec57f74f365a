import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCidr } from './cidr.ts';

test('address ranges and single addresses of both families are told from other texts', () => {
  for (const text of [
    '10.0.0.0/8',
    '0.0.0.0/0',
    '192.168.1.1',
    '1.2.3.4/32',
    'fd00::/8',
    '::',
    '::1/128',
    '::/0',
  ]) {
    assert.equal(isCidr(text), true, text);
  }
  const wrong = [
    '',
    '/',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '1.2.3.4/8/8',
  ];
  for (const text of [
    ...wrong,
    'localhost',
    '10.0.0.0/8 ',
    ' 10.0.0.0',
    '10.0.0.0/1e1',
    '256.0.0.0/8',
    '::g/8',
  ]) {
    assert.equal(isCidr(text), false, JSON.stringify(text));
  }
});
