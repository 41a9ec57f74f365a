import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { extensions } from '#extensions';
import { binaryTypeOf, buildInfo, fullFeatures } from './build-info.ts';

test('the features of the full build are the names of its extensions', () => {
  assert.deepEqual([...fullFeatures].sort(), extensions.map(({ name }) => name).sort());
});

test('the binary type is written as zot writes it', () => {
  assert.equal(binaryTypeOf('full', ['sync', 'search', 'scrub']), '-sync-search-scrub');
  assert.equal(binaryTypeOf('full', []), 'full');
  assert.equal(binaryTypeOf('minimal'), 'minimal');
});

test('a source run says the version of package.json', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  assert.equal(buildInfo.version, (JSON.parse(text) as { version: string }).version);
  assert.equal(buildInfo.commit, 'source');
});
