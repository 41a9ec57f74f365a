import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compileGlob, GlobSyntaxError } from './doublestar.ts';

/** Pattern, texts that match, texts that do not. */
const cases: readonly (readonly [pattern: string, yes: readonly string[], no: readonly string[]])[] = [
  ['', [''], ['a', '/']],
  ['repo', ['repo'], ['rep', 'repos', 'a/repo', 'repo/a', '']],
  ['*', ['', 'a', 'abc'], ['a/b', '/']],
  ['a*c', ['ac', 'abc', 'abbbc'], ['ab', 'a/c', 'abcd']],
  ['a?c', ['abc'], ['ac', 'abbc', 'a/c']],
  ['?', ['a', 'é', '😀'], ['', 'ab', '/']],
  ['**', ['', 'a', 'a/b', 'a/b/c'], []],
  ['a/**', ['a', 'a/', 'a/b', 'a/b/c'], ['ab', 'b', 'b/a']],
  ['a/*', ['a/', 'a/b'], ['a', 'a/b/c']],
  ['**/b', ['b', 'a/b', 'x/y/b'], ['ab', 'b/a', 'a/bb']],
  ['a/**/c', ['a/c', 'a/b/c', 'a/b/b/c'], ['ac', 'a/bc', 'a/b/cc', 'a']],
  ['a/**/b/**', ['a/b', 'a/x/b', 'a/x/b/y/z'], ['a', 'a/x']],
  ['**/**/b', ['b', 'a/b', 'a/a/b'], ['ab']],
  ['**/*', ['a', 'a/b', ''], []],
  ['a**', ['a', 'abc'], ['a/b']],
  ['a**/b', ['a/b', 'axx/b'], ['a/x/b']],
  ['***', ['abc'], ['a/b']],
  ['[abc]d', ['ad', 'bd'], ['d', 'dd', 'abd']],
  ['[a-c]', ['a', 'b', 'c'], ['d', '-']],
  ['[^a-c]', ['d', '-'], ['a', '/', '']],
  ['[!a]', ['b'], ['a']],
  ['[a\\-z]', ['a', '-', 'z'], ['b']],
  ['[\\]]', [']'], ['\\']],
  ['[z-a]', [], ['a', 'm', 'z']],
  ['[*?{,}]', ['*', '?', '{', ',', '}'], ['a']],
  ['{a,b}', ['a', 'b'], ['ab', '{a,b}']],
  ['{a,b}/{c,d}', ['a/c', 'b/d'], ['a/b']],
  ['x{,y}z', ['xz', 'xyz'], ['xyyz']],
  ['{a,b{c,d{e,f}}}', ['a', 'bc', 'bde', 'bdf'], ['b', 'bd']],
  ['{a/**,b}/c', ['a/c', 'a/x/c', 'b/c'], ['a', 'b/x/c']],
  ['{**,a}/c', ['c', 'x/y/c', 'a/c'], ['xc']],
  ['{a\\,b,c}', ['a,b', 'c'], ['a', 'b']],
  ['a,b', ['a,b'], ['a', 'b']],
  ['\\*', ['*'], ['a', '\\*']],
  ['\\{a\\}', ['{a}'], ['a']],
  ['team-*/**', ['team-a', 'team-a/x', 'team-/x/y'], ['team', 'x/team-a']],
];

describe('globs', () => {
  for (const [pattern, yes, no] of cases) {
    it(`${JSON.stringify(pattern)} matches what it says`, () => {
      const glob = compileGlob(pattern);
      for (const text of yes) assert.equal(glob.matches(text), true, `${pattern} should match ${text}`);
      for (const text of no) assert.equal(glob.matches(text), false, `${pattern} should not match ${text}`);
    });
  }

  for (const pattern of [
    '[',
    '[a',
    '[]',
    '[]a]',
    '[-]',
    '[a-]',
    '[-a]',
    '[a-b-c]',
    '[^]',
    '{',
    '{a',
    '{a,{b}',
    '}',
    'a}',
    'a\\',
  ]) {
    it(`${JSON.stringify(pattern)} is refused`, () => {
      assert.throws(() => compileGlob(pattern), GlobSyntaxError);
    });
  }

  it('does not go back: a pattern that stops backtracking matchers is quick', () => {
    const started = performance.now();
    assert.equal(compileGlob(`${'*a'.repeat(60)}b`).matches('a'.repeat(5000)), false);
    assert.equal(compileGlob(`${'**/a*/'.repeat(60)}b`).matches('a/'.repeat(2500)), false);
    assert.ok(performance.now() - started < 2000);
  });

  it('refuses braces that multiply without bound', () => {
    const started = performance.now();
    assert.throws(() => compileGlob('{a,b}'.repeat(40)), GlobSyntaxError);
    assert.throws(() => compileGlob('{'.repeat(50_000)), GlobSyntaxError);
    assert.throws(() => compileGlob('{'.repeat(50_000) + '}'.repeat(50_000)), GlobSyntaxError);
    assert.equal(compileGlob('{'.repeat(2000) + '}'.repeat(2000)).matches(''), true);
    assert.ok(performance.now() - started < 2000);
  });

  it('a text without special characters matches itself only', () => {
    const plain = fc.stringMatching(/^[a-z0-9./_-]{0,20}$/);
    fc.assert(
      fc.property(plain, plain, (text, other) => {
        const glob = compileGlob(text);
        assert.equal(glob.matches(text), true);
        assert.equal(glob.matches(other), text === other);
      }),
    );
  });

  it('agrees with a plain recursive definition', () => {
    const pattern = fc.array(fc.constantFrom('*', '?', 'a', 'b', '/', '/**/', '**/', '/**'), {
      maxLength: 6,
    });
    const text = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 7 });
    fc.assert(
      fc.property(pattern, text, (parts, letters) => {
        const joined = parts.join('');
        const name = letters.join('');
        assert.equal(
          compileGlob(joined).matches(name),
          slowMatch(joined.split('/'), name.split('/')),
          `${joined} ~ ${name}`,
        );
      }),
      { numRuns: 3000 },
    );
  });

  it('never throws anything but its own error', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (pattern, text) => {
        try {
          compileGlob(pattern).matches(text);
        } catch (error) {
          assert.ok(error instanceof GlobSyntaxError);
        }
      }),
    );
  });
});

/** The definition by segments, with backtracking: slow, and plain enough to be believed. */
function slowMatch(pattern: readonly string[], name: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return name.length === 0;
  if (first === '**') {
    if (rest.length === 0) return true;
    return Array.from({ length: name.length + 1 }, (_, skipped) => skipped).some((n) =>
      slowMatch(rest, name.slice(n)),
    );
  }
  const [segment, ...others] = name;
  if (segment === undefined) return false;
  const expression = first.replaceAll(/\*+/g, '[^/]*').replaceAll('?', '[^/]');
  return new RegExp(`^${expression}$`).test(segment) && slowMatch(rest, others);
}
