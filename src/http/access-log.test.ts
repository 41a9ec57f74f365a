import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressOf, shownText, shownUrl } from './access-log.ts';

test('values of secret parameters are masked wherever they stand, others are not', () => {
  const cases: readonly [url: string, masked: string][] = [
    ['/v2/', '/v2/'],
    ['/v2/?digest=sha256:abc', '/v2/?digest=sha256:abc'],
    ['/x?code=1', '/x?code=******'],
    ['/x?a=1&CODE=1&state=2&b=3', '/x?a=1&CODE=******&state=******&b=3'],
    ['/x?X-Amz-Signature=abc&X-Amz-Credential=d/e', '/x?X-Amz-Signature=******&X-Amz-Credential=******'],
    ['/x?token=', '/x?token=******'],
    ['/code=1', '/code=1'],
    ['/x?client_secret=1&barcode=2', '/x?client_secret=******&barcode=******'],
  ];
  for (const [url, masked] of cases) assert.equal(shownUrl(url), masked);
});

test('no value of a secret parameter is ever left', () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9%._~-]{8,20}$/);
  const names = fc.constantFrom(
    'token',
    'access_token',
    'password',
    'secret',
    'sig',
    'signature',
    'code',
    'state',
  );
  fc.assert(
    fc.property(names, secret, fc.constantFrom('?', '?a=1&', '?&&'), (name, value, before) => {
      assert.ok(!shownUrl(`/path${before}${name}=${value}&x=1`).includes(`=${value}`));
    }),
  );
});

test('texts are bounded, and what a terminal would obey is written in words', () => {
  assert.equal(shownText('a'.repeat(20), 10), `${'a'.repeat(10)}…`);
  assert.equal(shownText('a\u202eb\u2028c\u007f', 10), 'a\\u202eb\\u2028c\\u007f');
  assert.equal(shownText('äöü 漢字', 10), 'äöü 漢字');
  assert.ok(shownUrl(`/${'x'.repeat(100_000)}`).length < 3000);
});

test('addresses are written as zot writes them', () => {
  const socket = (remoteAddress?: string, remotePort?: number): Socket =>
    Object.assign(Object.create(null) as Socket, { remoteAddress, remotePort });
  assert.equal(addressOf(socket('10.0.0.1', 5)), '10.0.0.1:5');
  assert.equal(addressOf(socket('::1', 5)), '[::1]:5');
  assert.equal(addressOf(socket()), 'unix');
});
