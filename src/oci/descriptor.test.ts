import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isJsonObject, readAnnotations, readDescriptor } from './descriptor.ts';
import { digestOf } from './digest.ts';
import { OCI_MANIFEST } from './media-types.ts';

const digest = digestOf(Buffer.from('content'));
const sound = { mediaType: OCI_MANIFEST, digest, size: 7 };

describe('a descriptor', () => {
  test('is read with what it needs, and with what it may have', () => {
    assert.deepEqual(readDescriptor(sound, 'x'), { mediaType: OCI_MANIFEST, digest, sizeBytes: 7 });
    const more = {
      artifactType: 'a/b',
      annotations: { a: '1' },
      platform: { os: 'linux', architecture: 'arm64', 'os.features': ['x'] },
    };
    const urls = { urls: ['https://example.com'], data: 'e30=', unknown: { a: [1] } };
    assert.deepEqual(readDescriptor({ ...sound, ...more, ...urls }, 'x'), {
      mediaType: OCI_MANIFEST,
      digest,
      sizeBytes: 7,
      ...more,
    });
  });

  test('may say null for what it does not have', () => {
    const empty = { ...sound, artifactType: null, annotations: null, platform: null };
    assert.deepEqual(readDescriptor(empty, 'x'), { mediaType: OCI_MANIFEST, digest, sizeBytes: 7 });
  });

  test('that is wrong is described by its place', () => {
    const wrong: [unknown, string][] = [
      [null, 'layers[3] is not a descriptor'],
      [[], 'layers[3] is not a descriptor'],
      ['text', 'layers[3] is not a descriptor'],
      [{ ...sound, mediaType: undefined }, 'layers[3].mediaType is not a media type'],
      [{ ...sound, mediaType: 'nonsense' }, 'layers[3].mediaType is not a media type'],
      [{ ...sound, digest: 'sha256:abc' }, 'layers[3].digest is not a supported digest'],
      [{ ...sound, digest: [digest] }, 'layers[3].digest is not a supported digest'],
      [{ ...sound, artifactType: 1 }, 'layers[3].artifactType is not a text'],
      [{ ...sound, annotations: [] }, 'layers[3].annotations is not an object'],
      [{ ...sound, annotations: { a: 1 } }, 'layers[3].annotations["a"] is not a text'],
      [{ ...sound, platform: 'linux' }, 'layers[3].platform is not an object'],
    ];
    for (const [value, problem] of wrong) assert.equal(readDescriptor(value, 'layers[3]'), problem);
    for (const size of [undefined, null, -1, 1.5, '7', Number.MAX_SAFE_INTEGER + 1, Infinity, NaN, true]) {
      assert.equal(
        readDescriptor({ ...sound, size }, 'config'),
        'config.size is not a number of bytes',
        String(size),
      );
    }
  });

  test('made of anything is read or described, and nothing is thrown', () => {
    const members = ['mediaType', 'digest', 'size', 'artifactType', 'annotations', 'platform', '__proto__'];
    const key = fc.constantFrom(...members);
    const value = fc.dictionary(key, fc.oneof(fc.jsonValue(), fc.constantFrom(OCI_MANIFEST, digest, 7)));
    fc.assert(
      fc.property(fc.oneof(value, fc.anything()), (sample) => {
        const read = readDescriptor(sample, 'x');
        if (typeof read === 'string') assert.match(read, /^x[. ]/);
        else assert.ok(Number.isSafeInteger(read.sizeBytes));
      }),
    );
  });
});

describe('annotations', () => {
  test('are an object of texts, or absent', () => {
    assert.equal(readAnnotations(undefined, 'x'), undefined);
    assert.equal(readAnnotations(null, 'x'), undefined);
    assert.deepEqual(readAnnotations({ a: 'b', '': '' }, 'x'), { a: 'b', '': '' });
    for (const value of ['', 0, false, [], [['a', 'b']]])
      assert.equal(readAnnotations(value, 'x'), 'x.annotations is not an object');
  });

  test('may have any key, those of objects included', () => {
    const parsed: unknown = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}');
    const read = readAnnotations(parsed, 'x');
    assert.equal(JSON.stringify(read), '{"__proto__":"a","constructor":"b","toString":"c"}');
    const hidden: unknown = JSON.parse('{"__proto__":{"a":"b"}}');
    assert.equal(readAnnotations(hidden, 'x'), 'x.annotations["__proto__"] is not a text');
  });

  test('with a long key are described by its beginning', () => {
    const read = readAnnotations({ ['k'.repeat(10_000)]: 1 }, 'x');
    assert.ok(typeof read === 'string' && read.length < 200);
  });
});

test('a JSON object is neither null nor a list', () => {
  assert.deepEqual([{}, [], null, 'a', 1, undefined].map(isJsonObject), [
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});
