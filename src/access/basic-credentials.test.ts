import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { basicCredentials } from './basic-credentials.ts';

const header = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('Basic credentials', () => {
  test('are name and password, divided by the first colon', () => {
    assert.deepEqual(basicCredentials(header('alice:a:b')), { username: 'alice', password: 'a:b' });
    assert.deepEqual(basicCredentials(header(':')), { username: '', password: '' });
    assert.deepEqual(basicCredentials('bAsIc  QTpi '), { username: 'A', password: 'b' });
  });

  test('give back any name and password', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 50 }).filter((text) => !text.includes(':'));
    fc.assert(
      fc.property(name, fc.string({ unit: 'grapheme' }), (username, password) => {
        assert.deepEqual(basicCredentials(header(`${username}:${password}`)), { username, password });
      }),
    );
  });

  test('of another scheme are none; those that are not well formed are refused', () => {
    for (const text of ['', 'Bearer x', 'Basically x', 'Digest a="Basic"'])
      assert.equal(basicCredentials(text), null);
    const malformed = [
      'Basic',
      'Basic ',
      'Basic ?',
      'Basic a b',
      'Basic /w==',
      header('no colon'),
      header(`${'x'.repeat(2000)}:`),
    ];
    for (const text of malformed) {
      const read = basicCredentials(text);
      assert.ok(read !== null && 'refused' in read, text);
    }
  });

  test('can be read from any text', () => {
    fc.assert(fc.property(fc.string(), (text) => void basicCredentials(`Basic ${text}`)));
  });
});
