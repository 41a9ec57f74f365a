import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { FileStat } from '#storage';
import { ProvenCopies, covers } from './proven-copies.ts';

const [A, B, C] = ['team/a', 'team/b', 'team/c'].map(parseRepoName) as [RepoName, RepoName, RepoName];
const KEY = 'one content';

let nowMs = 0;
let copies: ProvenCopies;
beforeEach(() => {
  nowMs = 1000;
  copies = new ProvenCopies(() => nowMs);
});

const file = (inode: number, modifiedMs: number): FileStat => ({
  sizeBytes: 5,
  modifiedMs,
  fingerprint: `5-${inode}-${modifiedMs}`,
  identity: `1-${inode}`,
});

function isProven(repo: RepoName, stat: FileStat): boolean {
  const copy = copies.find(KEY);
  return copy !== undefined && covers(copy, repo, stat);
}

describe('what is known of proven copies', () => {
  test('a file that was placed is proven where it was placed, until somebody changes it', () => {
    assert.equal(isProven(A, file(1, 900)), false);
    copies.placed(KEY, A);
    assert.equal(isProven(A, file(1, 900)), true);
    assert.equal(isProven(B, file(1, 900)), false);
    assert.equal(isProven(A, file(2, 1001)), false);
  });

  test('a file that was read is proven by each of its names, in that version', () => {
    copies.read(KEY, A, file(1, 900));
    assert.equal(isProven(B, file(1, 900)), true);
    assert.equal(isProven(A, file(2, 900)), false);
    assert.equal(isProven(A, file(1, 950)), false);
    copies.forget(KEY);
    assert.equal(isProven(A, file(1, 900)), false);
  });

  test('a link changes the time of its file, which proves it still; a change before or after it does not', () => {
    copies.read(KEY, A, file(1, 900));
    copies.linked(KEY, A, file(1, 900));
    for (const modifiedMs of [900, 999, 1000]) assert.equal(isProven(B, file(1, modifiedMs)), true);
    for (const modifiedMs of [800, 1001]) assert.equal(isProven(B, file(1, modifiedMs)), false);
    // Looked at again, it is that version alone.
    copies.linked(KEY, A, file(1, 1000));
    assert.equal(isProven(B, file(1, 950)), false);
  });

  test('a clock that is set back costs a reading, and proves nothing', () => {
    copies.read(KEY, A, file(1, 900));
    nowMs = 500;
    copies.linked(KEY, A, file(1, 900));
    assert.equal(isProven(A, file(1, 500)), false);
  });

  test('a mount keeps what is proven, and proves nothing', () => {
    copies.mounted(KEY, { from: A, to: B }, file(1, 900));
    assert.equal(isProven(A, file(1, 900)), false);
    copies.read(KEY, A, file(1, 900));
    copies.mounted(KEY, { from: C, to: B }, file(2, 900));
    assert.equal(isProven(C, file(2, 900)), false);
    assert.equal(isProven(A, file(1, 1000)), false);
    copies.mounted(KEY, { from: A, to: B }, file(1, 900));
    assert.equal(isProven(A, file(1, 1000)), true);
  });

  test('a mount from what was placed is never taken for the file that stood there before', () => {
    copies.placed(KEY, A);
    nowMs = 2000;
    copies.mounted(KEY, { from: A, to: B }, file(1, 900));
    assert.equal(isProven(A, file(2, 2000)), true);
    assert.equal(isProven(B, file(1, 900)), false);
  });

  test('a mount over what was placed ends what is known of it', () => {
    copies.placed(KEY, A);
    copies.mounted(KEY, { from: B, to: A }, file(2, 900));
    assert.equal(isProven(A, file(2, 1000)), false);
  });

  test('what was read need not be on the disk; what was linked is', () => {
    copies.read(KEY, A, file(1, 900));
    assert.equal(copies.find(KEY)?.isDurable, false);
    copies.linked(KEY, A, file(1, 900));
    copies.read(KEY, A, file(1, 1000));
    assert.equal(copies.find(KEY)?.isDurable, true);
    copies.read(KEY, B, file(2, 900));
    assert.equal(copies.find(KEY)?.isDurable, false);
  });
});
