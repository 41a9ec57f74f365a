import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { repeatedMembers } from './json-members.ts';

test('members of the outermost object that stand twice are named', () => {
  assert.deepEqual(repeatedMembers('{"a":1,"b":2,"a":3}'), ['a']);
  assert.deepEqual(repeatedMembers('{"a":1,"\\u0061" :3, "b":[], "b":{}}'), ['a', 'b']);
  assert.deepEqual(repeatedMembers(' { "a" : "a" , "b" : ["a","a"] , "c" : {"x":1,"x":2,"a":1} } '), []);
  assert.deepEqual(repeatedMembers('{"a":"\\"a\\":","b\\\\":1}'), []);
  assert.deepEqual(repeatedMembers('[{"a":1,"a":2}]'), []);
  assert.deepEqual(repeatedMembers('{}'), []);
});

test('what JSON itself writes repeats nothing', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(repeatedMembers(text), []);
    }),
  );
});
