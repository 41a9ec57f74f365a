import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { findProgram } from '../../../tools/debian-tools.ts';
import { parseShaCrypt, verifyShaCrypt } from './sha-crypt.ts';

const openssl = await findProgram('openssl');

const longText = 'a very much longer text to encrypt.  This one even stretches over morethan one line.';

/** From the test vectors of the specification: password and result. */
const vectors: readonly (readonly [string, string])[] = [
  ['Hello world!', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  ['Hello world!', '$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA'],
  [
    'Hello world!',
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
  ],
  [
    longText,
    '$6$rounds=1400$anotherlongsalts$' +
      'POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1',
  ],
];

function fits(password: string, text: string): boolean {
  const stored = parseShaCrypt(text);
  assert.ok(stored, text);
  return verifyShaCrypt(password, stored);
}

describe('SHA-crypt', () => {
  for (const [password, text] of vectors) {
    test(`the specification's ${text.slice(0, 24)}…`, () => {
      assert.ok(fits(password, text));
      assert.ok(!fits(`${password}.`, text));
      assert.ok(!fits('', text));
    });
  }

  test('fewer rounds than 1000 count as 1000', () => {
    assert.equal(parseShaCrypt(`$5$rounds=10$salt$${'.'.repeat(43)}`)?.rounds, 1000);
  });

  test(
    'agrees with OpenSSL for passwords of every length',
    { skip: openssl === null ? 'openssl is not installed' : false },
    () => {
      const passwords = [1, 2, 31, 32, 33, 63, 64, 65, 127].map((length) =>
        'pä$ "ö'.repeat(30).slice(0, length),
      );
      for (const option of ['-5', '-6']) {
        for (const password of passwords) {
          const salt = password.length % 2 === 0 ? 'a' : 'sixteen.letters.';
          const { stdout } = spawnSync(openssl ?? '', ['passwd', option, '-salt', salt, '-stdin'], {
            input: password,
            encoding: 'utf8',
          });
          assert.ok(fits(password, stdout.trim()), `${option} ${password.length}`);
        }
      }
    },
  );

  test('what is no such hash is none', () => {
    const texts = [
      '',
      '$5$',
      '$5$salt',
      '$5$salt$short',
      `$7$salt$${'.'.repeat(43)}`,
      `$6$salt$${'.'.repeat(43)}`,
    ];
    for (const text of [...texts, `$5$rounds=x$salt$${'.'.repeat(43)}`, `$5$salt$${'.'.repeat(42)}!`]) {
      assert.equal(parseShaCrypt(text), null, text);
    }
  });
});
