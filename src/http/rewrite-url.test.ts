import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { UNROUTABLE, cleanedUrl, rewriteUrl } from './rewrite-url.ts';

/** Pieces of paths, the tricky ones among them. */
const structure = [
  '/',
  '/',
  '/',
  '/v2/',
  'a',
  'b',
  'manifests',
  'blobs',
  'uploads',
  'tags',
  'list',
  'referrers',
  '_oci',
  'tag-history',
];
const tricks = [
  '.',
  '..',
  '%2f',
  '%2F',
  '%5c',
  '%2e',
  '%00',
  '%',
  '\\',
  '?',
  '#',
  ';',
  ':',
  '@',
  'http://x',
  '//',
  ' ',
  'é',
];
const pieces = fc.constantFrom(...structure, ...tricks, '_catalog');
const targets = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(''));
const names = fc
  .array(fc.stringMatching(/^[a-z0-9]+([._-][a-z0-9]+)?$/), { minLength: 1, maxLength: 6 })
  .map((components) => components.join('/'));

describe('rewriteUrl', () => {
  test('puts the name into one segment, whatever it is', () => {
    fc.assert(
      fc.property(names, (name) => {
        const inOne = name.replaceAll('/', '%2F');
        for (const rest of [
          '/manifests/x',
          '/blobs/x',
          '/blobs/uploads/',
          '/blobs/uploads/x',
          '/tags/list',
          '/referrers/x',
          '/_oci/tag-history/x',
        ]) {
          assert.equal(rewriteUrl(`/v2/${name}${rest}`), `/v2/${inOne}${rest}`);
          assert.equal(rewriteUrl(`/v2/${name}${rest}?a=/b/c`), `/v2/${inOne}${rest}?a=/b/c`);
          assert.equal(rewriteUrl(`http://host:1${`/v2/${name}${rest}`}`), `/v2/${inOne}${rest}`);
        }
      }),
    );
  });

  test('routes by the last marker', () => {
    assert.equal(rewriteUrl('/v2/a/blobs/b/manifests/x'), '/v2/a%2Fblobs%2Fb/manifests/x');
    assert.equal(rewriteUrl('/v2/tags/list/tags/list'), '/v2/tags%2Flist/tags/list');
    assert.equal(rewriteUrl('/v2/blobs/uploads/blobs/uploads/'), '/v2/blobs%2Fuploads/blobs/uploads/');
  });

  test('never lets a slash that the client encoded reach a route of a repository', () => {
    fc.assert(
      fc.property(targets, (target) => {
        const path = target.split('?')[0] ?? '';
        const routed = rewriteUrl(target);
        if (!/^(?:[a-z][a-z0-9+.-]*:\/\/[^/?]*)?\/v2\//i.test(path) || !/%(2f|5c)/i.test(path)) return;
        assert.ok(
          routed === UNROUTABLE || routed.startsWith('/v2/_') || !routed.startsWith('/v2/'),
          `${target} -> ${routed}`,
        );
      }),
    );
    for (const target of ['/v%32/a%2fb/manifests/x', '/%762/a/manifests/x', '/%76%32/a']) {
      assert.equal(rewriteUrl(target), UNROUTABLE, target);
    }
  });

  test('always gives a path', () => {
    fc.assert(
      fc.property(fc.oneof(targets, fc.string()), (target) => {
        const routed = rewriteUrl(
          target.startsWith('/') ? target : `http://host${target.startsWith('?') ? '' : '/'}${target}`,
        );
        assert.ok(routed.startsWith('/'), routed);
      }),
    );
  });
});

describe('cleanedUrl', () => {
  test('is clean at once, stays below the root, and names no host', () => {
    fc.assert(
      fc.property(targets, (target) => {
        const clean = cleanedUrl(`/${target}`);
        if (clean === null) return;
        const [path = ''] = clean.split('?');
        assert.equal(cleanedUrl(clean), null, `${target} -> ${clean}`);
        assert.match(path, /^\/(?![/\\])/);
        assert.ok(!path.split('/').some((segment) => segment === '..' || segment === '.'));
      }),
    );
  });

  test('leaves clean paths alone, and keeps query and trailing slash', () => {
    for (const target of ['/', '/v2/', '/v2/a/manifests/x', '/a?x=//y/../z', '*'])
      assert.equal(cleanedUrl(target), null);
    assert.equal(cleanedUrl('/a//b/?x=//y'), '/a/b/?x=//y');
    assert.equal(cleanedUrl('/a/./b/../'), '/a/');
    assert.equal(cleanedUrl('http://host/v2//'), '/v2/');
  });
});
