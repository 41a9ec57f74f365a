import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from './arguments.ts';
import { allScenarios, selectScenarios } from './scenarios/catalog.ts';

test('wrong options are refused with their name', () => {
  const wrong: [argv: string[], words: RegExp][] = [
    [['--rounds', 'many'], /--rounds many: must be a number/],
    [['--subject', 'harbor'], /--subject harbor: must be one of zot, zot-commit, docker-registry/],
    [['--against', 'nowhere'], /--against nowhere: must be a URL/],
    [['--pid', '1'], /--pid: there are more/],
    [['--client', 'ab'], /--client ab: must be one of node, wrk/],
    [['--wrong'], /--wrong/],
  ];
  for (const [argv, words] of wrong) assert.throws(() => parseArguments(argv), words);
});

test('a URL takes the place of docker-registry', () => {
  const given = parseArguments(['--against', 'http://127.0.0.1:8080', '--pid', '7']);
  assert.deepEqual(given.subjects, ['zot', 'zot-commit']);
  assert.equal(given.against[0]?.pid, 7);
});

test('scenario names are unique and can be chosen by globs', () => {
  const scenarios = allScenarios({ hugeBytes: 1 });
  assert.equal(new Set(scenarios.map(({ name }) => name)).size, scenarios.length);
  assert.deepEqual(
    selectScenarios(scenarios, ['blob-*-4k', 'head']).map(({ name }) => name),
    ['head', 'blob-get-4k', 'blob-push-4k'],
  );
  assert.throws(() => selectScenarios(scenarios, ['nothing-*']), /no scenario has this name/);
});
