import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hashOfUser, listUsers, withUser } from './htpasswd-text.ts';

describe('the text of a password file, edited', () => {
  test('gets a user at its end, whatever stands there', () => {
    assert.equal(withUser('', 'a', 'h'), 'a:h\n');
    assert.equal(withUser('b:x\n', 'a', 'h'), 'b:x\na:h\n');
    assert.equal(withUser('b:x', 'a', 'h'), 'b:x\na:h\n');
    assert.equal(withUser('b:x\r\n', 'a', 'h'), 'b:x\r\na:h\r\n');
  });

  test('keeps every other line as it is', () => {
    const text = '# comment\n\nb:x\na:old\nc:{SHA}y\na:older\n';
    assert.equal(withUser(text, 'a', 'new'), '# comment\n\nb:x\na:new\nc:{SHA}y\n');
    assert.equal(withUser(text, 'a', null), '# comment\n\nb:x\nc:{SHA}y\n');
    assert.equal(withUser(text, 'd', null), text);
    assert.equal(withUser('a:old\r\nb:x\r\n', 'a', 'new'), 'a:new\r\nb:x\r\n');
  });

  test('has exactly one entry for a user who was put in, and none for one who was removed', () => {
    const line = fc.tuple(
      fc.constantFrom('a', 'b', 'ab', ''),
      fc.constantFrom(':h', ':', '', ':x:y'),
      fc.constantFrom('\n', '\r\n'),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.map((parts) => parts.join('')).join('');
        const others = (of: string): (string | null)[] => ['b', 'ab', ''].map((user) => hashOfUser(of, user));
        const put = withUser(text, 'a', 'new');
        assert.equal(hashOfUser(put, 'a'), 'new');
        assert.deepEqual(others(put), others(text));
        const removed = withUser(put, 'a', null);
        assert.equal(hashOfUser(removed, 'a'), null);
        assert.deepEqual(others(removed), others(text));
      }),
    );
  });

  test('lists users with what their passwords are, and no hash', () => {
    const bcrypt = `$2y$10$${'a'.repeat(53)}`;
    const sha = `$6$rounds=9000$salt$${'a'.repeat(86)}`;
    assert.deepEqual(listUsers(`a:${bcrypt}\nb:${sha}\n# x\nc:plain\n`), [
      { user: 'a', password: 'bcrypt, cost 10', usable: true },
      { user: 'b', password: 'sha512-crypt, rounds 9000', usable: true },
      {
        user: 'c',
        password: 'only bcrypt ($2a$, $2b$, $2y$) and SHA-crypt ($5$, $6$) hashes are accepted',
        usable: false,
      },
    ]);
  });
});
