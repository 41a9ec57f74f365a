import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileGlob } from '#lib/doublestar';
import { PatternIndex } from './pattern-index.ts';
import { comparePatterns } from './pattern-order.ts';

function winner(patterns: readonly string[], repo: string): string | null {
  return new PatternIndex(patterns.map((pattern) => [pattern, pattern] as const)).find(repo);
}

test('the longest pattern text decides, and it alone', () => {
  const patterns = ['**', 'infra/*', 'tmp/**', 'a/{b,c}', 'a/**', 'team/app', 'foo**', '*-prod', 'x/**/z'];
  const cases: readonly (readonly [string, string | null])[] = [
    ['infra/a', 'infra/*'],
    ['infra/a/b', '**'],
    ['tmp', 'tmp/**'],
    ['tmp/x/y', 'tmp/**'],
    ['tmpx', '**'],
    ['a/b', 'a/{b,c}'],
    ['a/d', 'a/**'],
    ['a', 'a/**'],
    ['team/app', 'team/app'],
    ['team/app2', '**'],
    ['team/app/x', '**'],
    ['foobar', 'foo**'],
    ['foobar/x', '**'],
    ['db-prod', '*-prod'],
    ['x/z', 'x/**/z'],
    ['x/y/y/z', 'x/**/z'],
  ];
  for (const [repo, expected] of cases) assert.equal(winner(patterns, repo), expected, repo);
  assert.equal(winner(['a/*'], 'b/c'), null);
});

test('patterns are read in lower case, as zot does', () => {
  assert.equal(winner(['Team/**'], 'team/app'), 'Team/**');
});

test('equally long patterns have an order that does not depend on where they stand', () => {
  const patterns = ['a/*c', 'a/b*', '*/bc', '?/bc'];
  for (const order of [patterns, patterns.toReversed()]) assert.equal(winner(order, 'a/bc'), 'a/b*');
  assert.equal(winner(['*/bc', '?/bc'], 'a/bc'), '*/bc');
});

test('a tie is told, once for each repository that meets it', () => {
  const ties: string[][] = [];
  const patterns = ['a/*c', 'a/b*', '**', '{x,x/y}/**'];
  const index = new PatternIndex(
    patterns.map((pattern) => [pattern, pattern] as const),
    (...tie) => ties.push(tie),
  );
  for (const repo of ['a/bc', 'a/bc', 'a/b', 'x/y/z', 'a/xc']) index.find(repo);
  assert.deepEqual(ties, [['a/bc', 'a/b*', 'a/*c']]);
});

const part = fc.constantFrom('a', 'b', 'ab', 'app', 'x-y');
const patternPart = fc.constantFrom(
  'a',
  'b',
  'ab',
  'app',
  '*',
  '**',
  '?',
  'a*',
  '*b',
  '{a,b}',
  '[a-b]',
  '{a,b/*}',
  'a**',
  '\\a',
);
const repos = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const patternTexts = fc.array(patternPart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('the tree finds what trying every pattern finds', () => {
  fc.assert(
    fc.property(fc.uniqueArray(patternTexts, { maxLength: 30 }), repos, (patterns, repo) => {
      const matching = patterns
        .filter((pattern) => compileGlob(pattern).matches(repo))
        .toSorted(comparePatterns);
      assert.equal(winner(patterns, repo), matching[0] ?? null);
    }),
    { numRuns: 3000 },
  );
});

test('the cost of a decision does not grow with the number of patterns', () => {
  const timeOf = (count: number): number => {
    const teams = Array.from({ length: count }, (_, at): [string, number] => [`team-${at}/**`, at]);
    const index = new PatternIndex([...teams, ['**', -1]]);
    const names = Array.from({ length: 20_000 }, (_, at) => `team-${at % count}/app-${at}`);
    const began = performance.now();
    for (const name of names) index.find(name);
    return performance.now() - began;
  };
  timeOf(100);
  const [few, many] = [timeOf(10), timeOf(10_000)];
  assert.ok(many < few * 5 + 20, `10 patterns ${few} ms, 10,000 patterns ${many} ms`);
});
