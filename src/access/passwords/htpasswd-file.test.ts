import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseHtpasswd } from './htpasswd-file.ts';

const hash = (letter: string, cost = '10'): string => `$2y$${cost}$${letter.repeat(53)}`;
const SHA = `$6$salt$${'a'.repeat(86)}`;

function users(text: string): string[] {
  return [...parseHtpasswd(text).users.keys()];
}

describe('the text of a password file', () => {
  test('is one user a line; a line without a colon counts for nothing', () => {
    const text = `alice:${hash('a')}\n\n# comment\nbob:${SHA}\n`;
    assert.deepEqual(users(text), ['alice', 'bob']);
    assert.deepEqual(parseHtpasswd(text).remarks, []);
  });

  test('may end its lines as Windows does, and begin with a byte order mark', () => {
    assert.deepEqual(users(`\uFEFFalice:${hash('a')}\r\nbob:${hash('b')}\r\n`), ['alice', 'bob']);
  });

  test('the first colon divides, nothing is trimmed', () => {
    assert.deepEqual(users(` alice :${hash('a')}`), [' alice ']);
    const { users: none, remarks } = parseHtpasswd(`bob:${hash('b')}:x\ncarol: ${hash('c')}`);
    assert.equal(none.size, 0);
    assert.equal(remarks.length, 2);
  });

  test('the last entry of a user counts, also when it is useless', () => {
    const twice = parseHtpasswd(`alice:${hash('a')}\nalice:${hash('b')}`);
    assert.equal(twice.users.get('alice')?.text, hash('b'));
    assert.match(twice.remarks[0] ?? '', /line 2: the user "alice" stands twice/);
    const locked = parseHtpasswd(`alice:${hash('a')}\nalice:{SHA}abc`);
    assert.equal(locked.users.size, 0);
  });

  test('remarks hold no hash, and are bounded', () => {
    const { remarks } = parseHtpasswd(
      Array.from({ length: 1000 }, (_, at) => `user${at}:secret-${at}`).join('\n'),
    );
    assert.equal(remarks.length, 20);
    assert.ok(remarks.every((remark) => !remark.includes('secret')));
  });

  test('unknown users cost what most users cost', () => {
    assert.deepEqual(parseHtpasswd('').usual, { kind: 'bcrypt', cost: 10 });
    const text = `a:${hash('a', '05')}\nb:${hash('b', '12')}\nc:${hash('c', '12')}\nd:${SHA}`;
    assert.deepEqual(parseHtpasswd(text).usual, { kind: 'bcrypt', cost: 12 });
    assert.deepEqual(parseHtpasswd(`a:${SHA}`).usual, { kind: 'sha512-crypt', cost: 5000 });
  });

  test('any text can be read', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseHtpasswd(text)));
  });

  test('more users than any file should have are refused', () => {
    const text = Array.from({ length: 200_001 }, (_, at) => `u${at}:${hash('a')}`).join('\n');
    assert.throws(() => parseHtpasswd(text), /more than 200000 users/);
  });
});
