import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { commonNameOf, groupNames } from './group-names.ts';

test('a group is known by its whole name and by its common name', () => {
  const dn = 'cn=developers,ou=groups,dc=example,dc=org';
  assert.deepEqual(groupNames([dn, 'plain', dn]), [dn, 'developers', 'plain']);
  assert.deepEqual(groupNames([]), []);
});

test('common names are read as RFC 4514 writes them', () => {
  const names: readonly (readonly [string, string | null])[] = [
    ['CN=Domain Admins,CN=Users,DC=x', 'Domain Admins'],
    ['cn = spaced  , ou=x', 'spaced'],
    ['cn=ops\\2C eu,dc=x', 'ops, eu'],
    ['cn=a\\,b\\+c\\\\d\\"e,dc=x', 'a,b+c\\d"e'],
    ['cn=J\\C3\\BCrgen,dc=x', 'Jürgen'],
    ['cn=Jürgen', 'Jürgen'],
    ['cn=ends with\\ ,dc=x', 'ends with '],
    ['ou=cn=x,dc=x', null],
    ['cn=a+uid=b,dc=x', null],
    ['cn=#0403616263,dc=x', null],
    ['cn=\\C3,dc=x', null],
    ['developers', null],
    ['', null],
  ];
  for (const [dn, name] of names) assert.equal(commonNameOf(dn), name, dn);
});

test('a name is found in time in proportion to its length', () => {
  const startMs = performance.now();
  for (const text of [
    'cn=' + '\\'.repeat(50_000),
    'cn=' + ' '.repeat(50_000) + 'x',
    `cn=${'a'.repeat(50_000)}+`,
  ]) {
    commonNameOf(text);
  }
  assert.ok(performance.now() - startMs < 2000);
  fc.assert(fc.property(fc.string(), (text) => groupNames([`cn=${text}`]).length >= 1));
});
