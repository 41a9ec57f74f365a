import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_MANIFEST,
  isDockerType,
  isMediaType,
  isNonDistributable,
  manifestKind,
  mediaTypeOf,
} from './media-types.ts';

describe('media types', () => {
  test('four of them name manifests', () => {
    const kinds = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, OCI_CONFIG, OCI_EMPTY].map(
      manifestKind,
    );
    assert.deepEqual(kinds, ['image', 'index', 'image', 'index', null, null]);
    assert.deepEqual([OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_LIST].map(isDockerType), [false, true, true]);
    for (const name of ['constructor', '__proto__', 'toString', '']) assert.equal(manifestKind(name), null);
  });

  test('of a Content-Type come without parameters and in lower case', () => {
    assert.equal(mediaTypeOf(undefined), '');
    assert.equal(mediaTypeOf(' Application/JSON ; charset=utf-8'), 'application/json');
    assert.equal(mediaTypeOf(';'), '');
    assert.equal(mediaTypeOf(OCI_INDEX), OCI_INDEX);
  });

  test('are valid by RFC 6838, and nothing else is', () => {
    for (const text of [OCI_EMPTY, 'a/b', 'application/vnd.cncf.helm.config.v1+json', 'text/x-1!#$&^_.+-']) {
      assert.equal(isMediaType(text), true, text);
    }
    const long = 'a'.repeat(128);
    for (const text of [
      '',
      'a',
      '/',
      'a/',
      '/b',
      'a/b/c',
      'a b/c',
      'a/b;c=d',
      'a/b\n',
      `${long}/b`,
      `a/${long}`,
      'ä/b',
    ]) {
      assert.equal(isMediaType(text), false, JSON.stringify(text));
    }
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void isMediaType(`a/${text}`)));
  });

  test('name the layers that need not be here', () => {
    assert.equal(isNonDistributable('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'), true);
    assert.equal(isNonDistributable('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'), true);
    assert.equal(isNonDistributable('application/vnd.oci.image.layer.v1.tar+gzip'), false);
  });
});
