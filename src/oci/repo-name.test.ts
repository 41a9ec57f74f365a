import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { REPO_NAME_LENGTH_MAX, isRepoName, parseRepoName } from './repo-name.ts';

/** The grammar of the specification as it is written there. */
const SPECIFIED = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
/** Names that a file of a layout or of zot has. */
const TAKEN = ['blobs', 'index.json', 'oci-layout', 'cache.db', 'meta.db'];

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const separator = fc.constantFrom('.', '_', '__', '-', '--', '-----');
const component = fc
  .tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 3 }))
  .map(([first, rest]) => first + rest.flat().join(''));
const validName = fc
  .array(component, { minLength: 1, maxLength: 6 })
  .map((components) => components.join('/'))
  .filter((name) => !name.split('/').some((part) => TAKEN.includes(part)));
const nearlyName = fc.stringMatching(/^[a-z0-9._/-]{1,40}$/);

describe('a repository name', () => {
  test('is what the grammar of the specification allows', () => {
    fc.assert(fc.property(validName, (name) => assert.equal(parseRepoName(name), name)));
  });

  test('is nothing else, and the refusal is NAME_INVALID', () => {
    fc.assert(
      fc.property(fc.oneof(nearlyName, fc.string({ unit: 'binary' })), (text) => {
        const allowed = SPECIFIED.test(text) && !text.split('/').some((part) => TAKEN.includes(part));
        if (allowed) assert.equal(isRepoName(text), true, text);
        else if (!TAKEN.some((taken) => text.includes(taken))) {
          assert.throws(() => parseRepoName(text), {
            name: 'RegistryError',
            code: 'NAME_INVALID',
            status: 400,
          });
        }
      }),
    );
  });

  test('never leads out of its folder or into hidden ones', () => {
    const wrong = [
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      '.',
      '..',
      'a/..',
      'a/../b',
      '../a',
      'a/.uploads/b',
      '.uploads',
      '_zot',
      'a/_trivy',
      'A',
      'a/B',
      'a b',
      'a\n',
      'a\0',
      'a\\b',
      'a%2fb',
      'a:b',
      'a@b',
      'ä',
      '-a',
      'a-',
      'a.',
      '.a',
      'a..b',
      'a___b',
      'a_.b',
      'lost+found',
      '__proto__',
    ];
    for (const name of wrong) assert.equal(isRepoName(name), false, JSON.stringify(name));
  });

  test('may not be a file or folder of the layout around it', () => {
    for (const name of [
      'a/blobs',
      'a/blobs/b',
      'a/b/index.json',
      'a/oci-layout/c',
      'cache.db',
      'meta.db/a',
    ]) {
      assert.equal(isRepoName(name), false, name);
    }
    // At the top there is no layout around it, and below a folder no database of zot.
    for (const name of ['blobs', 'index.json', 'oci-layout', 'a/cache.db', 'myblobs', 'a/blobs.d']) {
      assert.equal(isRepoName(name), true, name);
    }
  });

  test(`has at most ${REPO_NAME_LENGTH_MAX} characters and any depth within them`, () => {
    const longest = 'a'.repeat(REPO_NAME_LENGTH_MAX);
    const deepest = Array.from({ length: 128 }, () => 'a').join('/');
    assert.equal(isRepoName(longest), true);
    assert.equal(isRepoName(`${longest}a`), false);
    assert.equal(deepest.length, REPO_NAME_LENGTH_MAX);
    assert.equal(isRepoName(deepest), true);
  });

  test('is judged in no time, however it is made', () => {
    const startedMs = performance.now();
    for (const unit of ['a', 'a-', 'a_', '__', '-', 'a.', 'a/', '0__']) {
      for (const end of ['', '!', '/', '-']) isRepoName(unit.repeat(1_000_000) + end);
      isRepoName(unit.repeat(120) + '!');
    }
    assert.ok(performance.now() - startedMs < 2000);
  });
});
