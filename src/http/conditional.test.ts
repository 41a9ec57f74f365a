import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyRequest } from 'fastify';
import fc from 'fast-check';
import { parseDigest } from '#oci/digest';
import { isNotModified, rangeApplies } from './conditional.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const other = `sha256:${'b'.repeat(64)}`;

const requestWith = (headers: Record<string, string>): FastifyRequest =>
  Object.assign(Object.create(null) as FastifyRequest, { headers });

test('If-None-Match finds the digest among its tags, strong, weak or bare', () => {
  for (const value of [`"${digest}"`, `W/"${digest}"`, digest, `"${other}" , "${digest}"`, '*']) {
    assert.equal(isNotModified(requestWith({ 'if-none-match': value }), digest), true, value);
  }
  for (const value of [
    `"${other}"`,
    '',
    '""',
    `"${digest}`,
    `'${digest}'`,
    `"${digest}x"`,
    digest.slice(0, -1),
  ]) {
    assert.equal(isNotModified(requestWith({ 'if-none-match': value }), digest), false, value);
  }
  assert.equal(isNotModified(requestWith({}), digest), false);
});

test('If-Range is met by exactly this content', () => {
  assert.equal(rangeApplies(requestWith({}), digest), true);
  assert.equal(rangeApplies(requestWith({ 'if-range': `"${digest}"` }), digest), true);
  for (const value of [`W/"${digest}"`, digest, `"${other}"`, 'Tue, 24 Nov 2026 09:00:00 GMT', '']) {
    assert.equal(rangeApplies(requestWith({ 'if-range': value }), digest), false, value);
  }
});

test('any header at all is read without a fault', () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      assert.equal(typeof isNotModified(requestWith({ 'if-none-match': value }), digest), 'boolean');
    }),
  );
});
