import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressGroup } from './address-group.ts';

test('IPv4 addresses and what is no address stand for themselves', () => {
  for (const address of ['127.0.0.1', '', 'unix']) assert.equal(addressGroup(address), address);
});

test('IPv6 addresses of one /64 are one', () => {
  const same = [
    '2001:db8:1:2::1',
    '2001:0DB8:1:2:ffff:ffff:ffff:ffff',
    '2001:db8:1:2::',
    '2001:db8:1:2::1%eth0',
  ];
  for (const address of same) assert.equal(addressGroup(address), '2001:db8:1:2::/64');
  assert.equal(addressGroup('2001:db8::1'), '2001:db8:0:0::/64');
  assert.equal(addressGroup('::1'), '0:0:0:0::/64');
  assert.equal(addressGroup('fe80::1.2.3.4'), 'fe80:0:0:0::/64');
  assert.notEqual(addressGroup('2001:db8:1:3::1'), '2001:db8:1:2::/64');
});
