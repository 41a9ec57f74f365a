import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseRepoName } from '#oci/repo-name';
import type { Action } from '../contract.ts';
import { ScopeError, parseScopes } from './api-key-scope.ts';

const ACTIONS: readonly Action[] = ['read', 'create', 'update', 'delete'];

function permitted(scopes: readonly string[], repo: string): Action[] {
  const scope = parseScopes(scopes);
  assert.ok(scope);
  assert.equal(scope.sees(parseRepoName(repo)), scope.permits(parseRepoName(repo), 'read'));
  return ACTIONS.filter((action) => scope.permits(parseRepoName(repo), action));
}

describe('the scope of an API key', () => {
  test('is no limit when there is none', () => {
    assert.equal(parseScopes([]), null);
  });

  test('permits what its words say, in the repositories that match', () => {
    assert.deepEqual(permitted(['repository:team/*:pull'], 'team/app'), ['read']);
    assert.deepEqual(permitted(['repository:team/*:pull'], 'team/app/deep'), []);
    assert.deepEqual(permitted(['repository:team/**:push'], 'team/app/deep'), ['create', 'update']);
    assert.deepEqual(permitted(['repository:team/app:*'], 'team/app'), [...ACTIONS]);
    assert.deepEqual(permitted(['repository:team/app:*'], 'team/app2'), [], 'a prefix is another repository');
    assert.deepEqual(permitted(['repository:{a,b}/c:delete'], 'b/c'), ['delete']);
  });

  test('permits everywhere what stands without a repository', () => {
    assert.deepEqual(permitted(['pull'], 'any/thing'), ['read']);
    assert.deepEqual(permitted(['read,create', 'update'], 'any/thing'), ['read', 'create', 'update']);
    assert.deepEqual(permitted(['*'], 'any/thing'), [...ACTIONS]);
  });

  test('permits what any of its parts permits', () => {
    const scopes = ['repository:a/**:pull', 'repository:b/**:push', 'repository:a/x:delete'];
    assert.deepEqual(permitted(scopes, 'a/x'), ['read', 'delete']);
    assert.deepEqual(permitted(scopes, 'b/x'), ['create', 'update']);
    assert.deepEqual(permitted(scopes, 'c/x'), []);
  });

  test('that means nothing is refused', () => {
    const wrong = [
      '',
      ' pull',
      'Pull',
      'fly',
      'pull,',
      'toString',
      '__proto__',
      'repository:',
      'repository:a',
      'repository::pull',
      'repository:a:',
      'repository:a:pull,fly',
      'repository:[a:pull',
      'registry:catalog:*',
      'x'.repeat(300),
    ];
    for (const scope of wrong) assert.throws(() => parseScopes([scope]), ScopeError, scope);
    assert.throws(() => parseScopes(Array.from({ length: 65 }, () => 'pull')), /more than 64/);
  });
});
