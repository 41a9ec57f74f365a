import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawRequest } from './body.ts';
import { TrustedProxies } from './client-address.ts';

const request = (peer: string | undefined, headers: Record<string, string | string[]>): RawRequest =>
  // Of a request, these two are all that is looked at.
  ({ socket: { remoteAddress: peer }, headers }) as unknown as RawRequest;

const proxies = new TrustedProxies(['10.0.0.0/8', 'fd00::/8', '192.0.2.7']);

const rows: [string, string | undefined, Record<string, string | string[]>, string][] = [
  ['no header', '10.0.0.1', {}, '10.0.0.1'],
  ['a stranger is not believed', '203.0.113.9', { 'x-forwarded-for': '1.2.3.4' }, '203.0.113.9'],
  ['a stranger’s X-Real-IP neither', '203.0.113.9', { 'x-real-ip': '1.2.3.4' }, '203.0.113.9'],
  ['what one proxy says', '10.0.0.1', { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
  ['a mapped peer', '::ffff:10.0.0.1', { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
  [
    'the right-most stranger, not what they claim',
    '10.0.0.1',
    { 'x-forwarded-for': '1.1.1.1, 198.51.100.1, 10.0.0.2' },
    '198.51.100.1',
  ],
  ['proxies only: the first of them', '10.0.0.1', { 'x-forwarded-for': '10.0.0.3, 10.0.0.2' }, '10.0.0.3'],
  ['no address ends the way', '10.0.0.1', { 'x-forwarded-for': '1.1.1.1, unknown, 10.0.0.2' }, '10.0.0.2'],
  ['a port', '10.0.0.1', { 'x-forwarded-for': '198.51.100.1:4711' }, '198.51.100.1'],
  ['IPv6 in brackets', '192.0.2.7', { 'x-forwarded-for': '[2001:db8::1]:4711' }, '2001:db8::1'],
  ['IPv6 plain, by an IPv6 proxy', 'fd00::1', { 'x-forwarded-for': '2001:db8::1' }, '2001:db8::1'],
  ['X-Real-IP of a proxy', '10.0.0.1', { 'x-real-ip': '198.51.100.1' }, '198.51.100.1'],
  [
    'X-Forwarded-For before X-Real-IP',
    '10.0.0.1',
    { 'x-forwarded-for': '198.51.100.1', 'x-real-ip': '1.1.1.1' },
    '198.51.100.1',
  ],
  ['a Unix socket', undefined, { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
  [
    'thousands of entries',
    '10.0.0.1',
    { 'x-forwarded-for': `${'1.1.1.1,'.repeat(5000)}198.51.100.1` },
    '198.51.100.1',
  ],
  ['no address at all', '10.0.0.1', { 'x-forwarded-for': '\u001b[31mx' }, '10.0.0.1'],
];

for (const [what, peer, headers, client] of rows) {
  test(`the client behind proxies: ${what}`, () => {
    assert.equal(proxies.clientOf(request(peer, headers)), client);
  });
}

test('without trusted proxies the peer is the client, whatever is said', () => {
  const nobody = new TrustedProxies([]);
  const headers = { 'x-forwarded-for': '1.2.3.4', 'x-real-ip': '1.2.3.4' };
  assert.equal(nobody.clientOf(request('127.0.0.1', headers)), '127.0.0.1');
  assert.equal(nobody.clientOf(request(undefined, headers)), '');
});
