import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { digestOf } from './digest.ts';
import { isTag, parsePushReference, parseTag, readReference, referenceText, storedTag } from './reference.ts';

const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
const digest = fc.uint8Array().map((bytes) => digestOf(bytes, 'sha512'));
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  tag,
  digest,
  fc.stringMatching(/^[a-z0-9:+._-]{0,40}$/),
);

describe('a reference', () => {
  test('that is a valid tag or digest is read alike for a push and for a pull', () => {
    fc.assert(
      fc.property(tag, (text) => {
        assert.deepEqual(parsePushReference(text), { kind: 'tag', tag: text });
        assert.deepEqual(readReference(text), { kind: 'tag', tag: text });
        assert.equal(parseTag(text), text);
      }),
    );
    fc.assert(
      fc.property(digest, (text) => {
        assert.deepEqual(parsePushReference(text), { kind: 'digest', digest: text });
        assert.deepEqual(readReference(text), { kind: 'digest', digest: text });
      }),
    );
  });

  test('of a push is refused as a digest when it looks like one, else as a manifest reference', () => {
    fc.assert(
      fc.property(anything, (text) => {
        try {
          assert.equal(referenceText(parsePushReference(text)), text);
        } catch (error) {
          const code = /^[a-z0-9]+([+._-][a-z0-9]+)*:/.test(text) ? 'DIGEST_INVALID' : 'MANIFEST_INVALID';
          assert.throws(() => parsePushReference(text), { name: 'RegistryError', code, status: 400 });
          assert.ok(error instanceof Error);
        }
      }),
    );
  });

  test('of a read is never refused and keeps its text, since layouts hold what other tools wrote', () => {
    fc.assert(fc.property(anything, (text) => assert.equal(referenceText(readReference(text)), text)));
    assert.equal(storedTag('docker.io/library/debian:12'), 'docker.io/library/debian:12');
  });

  test('has tags of at most 128 characters that do not begin with a dot or a dash', () => {
    for (const text of [
      '',
      '.a',
      '-a',
      'a b',
      'a/b',
      'a:b',
      'a@b',
      'a\n',
      'ä',
      'a'.repeat(129),
      '..',
      'a%20',
    ]) {
      assert.equal(isTag(text), false, JSON.stringify(text));
    }
    for (const text of ['a', '_', 'A.b-c_d', '1', 'a'.repeat(128), 'latest', '__proto__', 'constructor']) {
      assert.equal(isTag(text), true, text);
    }
  });
});
