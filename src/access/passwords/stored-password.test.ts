import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { impossiblePassword, readStoredPassword, verifyPassword } from './stored-password.ts';

/** Published vectors of bcrypt (those of OpenBSD's own tests, cost 6 to keep them quick). */
const BCRYPT: readonly (readonly [string, string])[] = [
  ['', '$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkY8jIucDrjc8deX1s.'],
  ['a', '$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe'],
  ['abc', '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'],
  ['abcdefghijklmnopqrstuvwxyz', '$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC'],
];

describe('stored passwords', () => {
  for (const [password, text] of BCRYPT.slice(1)) {
    test(`bcrypt of ${JSON.stringify(password)}`, () => {
      assert.notEqual(typeof readStoredPassword(text), 'string');
      assert.ok(verifyPassword(password, text));
      assert.ok(!verifyPassword(`${password}b`, text));
      for (const kind of ['$2b$', '$2y$']) assert.ok(verifyPassword(password, kind + text.slice(4)), kind);
    });
  }

  test('what cannot be verified, or would take too long, is refused with the reason', () => {
    const refused = [
      ['', /only bcrypt/],
      ['secret', /only bcrypt/],
      ['$apr1$salt$0123456789012345678901', /only bcrypt/],
      ['{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', /only bcrypt/],
      ['$2x$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe', /only bcrypt/],
      ['$2b$06$short', /only bcrypt/],
      [`$2b$31$${'a'.repeat(53)}`, /cost 31 is above 17/],
      [`$2b$03$${'a'.repeat(53)}`, /cost 3 is not allowed/],
      [`$6$rounds=999999999$salt$${'a'.repeat(86)}`, /999999999 rounds are above/],
    ] as const;
    for (const [text, reason] of refused) {
      const read = readStoredPassword(text);
      assert.ok(typeof read === 'string', text);
      assert.match(read, reason);
      assert.ok(text === '' || !read.includes(text), 'the reason holds nothing of the hash');
    }
  });

  test('a password that bcrypt or C would cut off is no match', () => {
    const text = hashSync('secret', 4);
    assert.ok(verifyPassword('secret', text));
    assert.ok(!verifyPassword('secret\0more', text));
    assert.ok(!verifyPassword('s'.repeat(2000), text));
  });

  test('the hash of nobody has the form and the cost of others, and no password fits it', () => {
    for (const [kind, cost] of [
      ['bcrypt', 4],
      ['bcrypt', 12],
      ['sha256-crypt', 1000],
      ['sha512-crypt', 5000],
    ] as const) {
      const stored = impossiblePassword(kind, cost);
      assert.deepEqual(readStoredPassword(stored.text), stored);
    }
    assert.ok(!verifyPassword('', impossiblePassword('bcrypt', 4).text));
    assert.ok(!verifyPassword('', impossiblePassword('sha512-crypt', 1000).text));
  });
});
