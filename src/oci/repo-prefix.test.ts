import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRepoName } from './repo-name.ts';
import { isUnder, parseRepoPrefix, prefixesOf } from './repo-prefix.ts';

test('a prefix is whole components of a name, with or without a slash at the end', () => {
  for (const [text, prefix] of [
    ['', ''],
    ['team', 'team'],
    ['team/', 'team'],
    ['team/app', 'team/app'],
    ['team/app/', 'team/app'],
  ] as const)
    assert.equal(parseRepoPrefix(text), prefix);
  for (const text of ['/', '/team', 'team//', 'Team', 'te*', 'a//b', 'a/blobs', '..', 'a/../b'])
    assert.equal(parseRepoPrefix(text), null, text);
});

test('a repository falls under its own name and everything above it', () => {
  const repo = parseRepoName('team/app/web');
  assert.deepEqual(prefixesOf(repo), ['', 'team', 'team/app', 'team/app/web']);
  assert.deepEqual(prefixesOf(parseRepoName('app')), ['', 'app']);
  for (const prefix of prefixesOf(repo)) assert.ok(isUnder(repo, prefix));
  for (const text of ['tea', 'team/ap', 'team/app/we', 'team/app/web/x']) {
    const prefix = parseRepoPrefix(text);
    assert.ok(prefix !== null && !isUnder(repo, prefix), text);
  }
});
