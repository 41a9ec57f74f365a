import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  DIGEST_ALGORITHMS,
  digestAlgorithm,
  digestFromParts,
  digestHex,
  digestHexLength,
  digestOf,
  digestSoFar,
  isDigest,
  parseDigest,
} from './digest.ts';
import { RegistryError } from './errors.ts';

const algorithms = fc.constantFrom(...DIGEST_ALGORITHMS);
/** Texts that are a digest but for one thing. */
const nearly = fc
  .tuple(algorithms, fc.nat(200), fc.string({ minLength: 1, maxLength: 3, unit: 'binary' }))
  .map(([algorithm, at, change]) => {
    const text = `${algorithm}:${'a'.repeat(digestHexLength(algorithm))}`;
    const place = at % (text.length + 1);
    return text.slice(0, place) + change + text.slice(place);
  });

describe('a digest', () => {
  test('of any bytes by any algorithm is one, and comes apart and together again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), algorithms, (bytes, algorithm) => {
        const digest = digestOf(bytes, algorithm);
        assert.equal(digestHex(digest), createHash(algorithm).update(bytes).digest('hex'));
        assert.equal(digestHex(digest).length, digestHexLength(algorithm));
        assert.equal(digestAlgorithm(parseDigest(digest)), algorithm);
        assert.equal(digestFromParts(algorithm, digestHex(digest)), digest);
      }),
    );
  });

  test('is sha256 where nothing else is asked for', () => {
    assert.equal(
      digestOf(Buffer.alloc(0)),
      'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  test('so far leaves the running hash usable', () => {
    const hash = createHash('sha512').update('one ');
    assert.equal(digestSoFar(hash, 'sha512'), digestOf(Buffer.from('one '), 'sha512'));
    hash.update('two');
    assert.equal(digestSoFar(hash, 'sha512'), digestOf(Buffer.from('one two'), 'sha512'));
  });

  test('of any other form is refused with DIGEST_INVALID and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearly), (text) => {
        if (isDigest(text)) assert.equal(parseDigest(text), text);
        else
          assert.throws(() => parseDigest(text), {
            name: 'RegistryError',
            code: 'DIGEST_INVALID',
            status: 400,
          });
      }),
    );
  });

  test('has one form: no capitals, spaces, paths, other lengths or other algorithms', () => {
    const hex = 'a'.repeat(64);
    const wrong = [
      '',
      ':',
      hex,
      `sha256:${hex.toUpperCase()}`,
      `SHA256:${hex}`,
      `sha256:${hex}\n`,
      ` sha256:${hex}`,
      `sha256:${hex}a`,
      `sha256:${hex.slice(1)}`,
      `sha256:${hex.slice(1)}g`,
      `sha256:../../${'a'.repeat(58)}`,
      `sha256:${'a'.repeat(63)}/`,
      `sha256:${'a'.repeat(63)}\0`,
      `sha384:${hex}`,
      `sha512:${hex}`,
      `sha1:${'a'.repeat(40)}`,
      `md5:${'a'.repeat(32)}`,
      `blake3:${hex}`,
      `sha256+b64:${hex}`,
      `__proto__:${hex}`,
    ];
    for (const text of wrong) assert.equal(isDigest(text), false, JSON.stringify(text));
    assert.equal(digestFromParts('sha256', '.stage'), null);
    assert.equal(digestFromParts('constructor', hex), null);
  });

  test('names in its refusal only the beginning of a long text', () => {
    const long = 'x'.repeat(100_000);
    assert.throws(
      () => parseDigest(long),
      (error) => error instanceof RegistryError && String(error.detail?.digest).length === 200,
    );
  });
});
