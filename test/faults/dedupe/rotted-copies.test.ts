/** A push that finds its content stored already: it relies on that only when this process has proven it. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { open, readFile, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { eventually } from '../../support/eventually.ts';
import { rot } from '../../support/rot.ts';
import { nodeFileSystem } from '../../../src/storage/drivers/file-system.ts';
import type { FileSystem } from '../../../src/storage/drivers/file-system.ts';
import { SharedStore } from './shared-store.ts';

const [A, B, C, D] = ['team/a', 'team/b', 'team/c', 'team/d'].map(parseRepoName) as [
  RepoName,
  RepoName,
  RepoName,
  RepoName,
];
const BYTES = Buffer.from('bytes that may rot '.repeat(200_000));
const DIGEST = digestOf(BYTES);
const OTHER = Buffer.from('other bytes');

let store: SharedStore;
/** Blobs that were opened to be read, in their order. */
let reads: string[] = [];
/** What the opening of a blob waits for. */
let gate: Promise<void> = Promise.resolve();
/** Files that can have no more names. */
let full: readonly string[] = [];

const files: FileSystem = {
  ...nodeFileSystem,
  open: async (path, flags, mode) => {
    // Others are opened to be synced.
    const isRead = (flags & constants.O_NONBLOCK) !== 0 && path.includes('/blobs/');
    if (isRead) reads.push(path);
    if (isRead) await gate;
    return nodeFileSystem.open(path, flags, mode);
  },
  link: async (from, to) => {
    if (full.includes(from)) throw Object.assign(new Error('EMLINK'), { code: 'EMLINK' });
    await nodeFileSystem.link(from, to);
  },
};

beforeEach(async () => {
  [reads, full, gate] = [[], [], Promise.resolve()];
  store = await SharedStore.create();
});
afterEach(() => store.remove());

/** Opens the store anew, as a process that knows nothing of what is stored. */
async function reopen(dedupe = true): Promise<void> {
  await store.open(dedupe, files);
  reads = [];
}

async function pushed(dedupe: boolean, ...repos: readonly RepoName[]): Promise<void> {
  await reopen(dedupe);
  for (const repo of repos) await store.push(repo, BYTES);
}

const rotAt = (repo: RepoName, digest: Digest = DIGEST): Promise<void> => rot(store.fileOf(repo, digest));

async function assertSound(...repos: readonly RepoName[]): Promise<void> {
  const noDamage = async () => (await store.opened.index.listDamage({ after: null, limit: 1 })).length === 0;
  await eventually(noDamage, 20_000, 'nothing is damaged any more');
  for (const repo of repos) {
    assert.equal(await store.read(repo, DIGEST), DIGEST, repo);
    assert.equal(digestOf(await readFile(store.fileOf(repo, DIGEST))), DIGEST, repo);
  }
}

const countFiles = async (...repos: readonly RepoName[]): Promise<number> =>
  (await store.files(repos, DIGEST)).size;
const reports = (text: string): string[] => store.opened.reports.filter((line) => line.includes(text));

describe('a push of a content whose stored copy has rotted', { timeout: 60_000 }, () => {
  for (const dedupe of [true, false]) {
    test(`elsewhere, with dedupe ${dedupe}`, async () => {
      await pushed(dedupe, A);
      await rotAt(A);
      await reopen(dedupe);
      await store.push(B, BYTES);
      await assertSound(B);
      if (dedupe) await assertSound(A);
    });

    test(`in the same repository, with dedupe ${dedupe}`, async () => {
      await pushed(dedupe, A);
      await rotAt(A);
      await reopen(dedupe);
      await store.push(A, BYTES);
      await assertSound(A);
    });
  }

  test('names the damage for all names of the file, and mends them all', async () => {
    await pushed(true, A, B);
    await rotAt(A);
    await reopen();
    await store.push(A, BYTES);
    await assertSound(A, B);
    assert.equal(reports('is damaged (wrong-digest)').length, 2);
    assert.equal(await countFiles(A, B), 1);
  });

  test('and of which another copy is sound', async () => {
    await pushed(false, A, B);
    await rotAt(A);
    await reopen();
    await store.push(C, BYTES);
    await assertSound(A, B, C);
  });

  test('since another tool wrote it, with this process running', async () => {
    await pushed(true, A, B);
    const handle = await open(store.fileOf(A, DIGEST), 'r+');
    await handle.write(Buffer.from('?'), 0, 1, 7);
    await handle.close();
    const soon = new Date(Date.now() + 1000);
    await utimes(store.fileOf(A, DIGEST), soon, soon);
    await store.push(C, BYTES);
    await assertSound(A, B, C);
  });
});

describe('a stored copy that a push relies on', { timeout: 60_000 }, () => {
  test('is read once after a start, and by no later push', async () => {
    await pushed(true, A);
    await reopen();
    await store.push(B, BYTES);
    assert.deepEqual(reads, [store.fileOf(A, DIGEST)]);
    await store.push(C, BYTES);
    assert.ok(await store.opened.registry.mountBlob(D, DIGEST, B, () => true));
    for (const repo of [A, B, D]) await store.push(repo, BYTES);
    assert.equal(reads.length, 1);
    assert.equal(await countFiles(A, B, C, D), 1);
  });

  test('is read once for all pushes that wait for it', async () => {
    await pushed(true, A);
    await reopen();
    const many = Array.from({ length: 10 }, (_, at) => parseRepoName(`many/r${at}`));
    await Promise.all(many.map((repo) => store.push(repo, BYTES)));
    assert.equal(reads.length, 1);
    assert.equal(await countFiles(A, ...many), 1);
  });

  test('is not read where this process placed it, nor is anything for new content', async () => {
    await pushed(true, A);
    assert.ok(await store.opened.registry.mountBlob(D, DIGEST, A, () => true));
    for (const repo of [B, C]) await store.push(repo, BYTES);
    await store.push(A, OTHER);
    assert.deepEqual(reads, []);
    assert.equal(await countFiles(A, B, C, D), 1);
  });

  test('is not read by a push when a scrub has found it sound', async () => {
    await pushed(true, A, B);
    await reopen();
    assert.equal(await store.opened.keeper.damage.examine(B, DIGEST, () => undefined), 'sound');
    reads = [];
    await store.push(C, BYTES);
    assert.deepEqual(reads, []);
    assert.equal(await countFiles(A, B, C), 1);
  });

  test('holds up no other push while it is read, also not of a slow scrub', async () => {
    await pushed(true, A);
    await reopen();
    const slow = Promise.withResolvers<void>();
    const scrub = store.opened.keeper.damage.examine(A, DIGEST, () => slow.promise);
    const opening = Promise.withResolvers<void>();
    gate = opening.promise;
    const waiting = store.push(B, BYTES);
    await eventually(() => reads.length === 2, 20_000, 'the copy is about to be read');
    for (const repo of [A, B, C]) await store.push(repo, OTHER);
    opening.resolve();
    await waiting;
    slow.resolve();
    assert.equal(await scrub, 'sound');
    assert.equal(await countFiles(A, B), 1);
  });

  test('is given up when the server stops: the push ends with its own bytes', async () => {
    await pushed(true, A);
    await reopen();
    const opening = Promise.withResolvers<void>();
    gate = opening.promise;
    const waiting = store.push(B, BYTES);
    await eventually(() => reads.length === 1, 20_000, 'the copy is about to be read');
    const closed = store.opened.keeper.damage.close();
    opening.resolve();
    await Promise.all([closed, waiting]);
    assert.equal(await countFiles(A, B), 2);
    assert.equal(await store.read(B, DIGEST), DIGEST);
  });

  test('with too many names is left for another, which is proven, too', async () => {
    await pushed(false, A, B);
    full = [store.fileOf(A, DIGEST)];
    await reopen();
    await store.push(C, BYTES);
    assert.deepEqual(reads.length, 2);
    assert.equal(await countFiles(B, C), 1);
    await store.push(D, BYTES);
    assert.equal(reads.length, 2);
    assert.equal(await countFiles(B, C, D), 1);
  });

  test('that the device fails to read is damaged: the push brings what is sound', async () => {
    await pushed(true, A);
    await reopen();
    gate = Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
    gate.catch(() => undefined);
    await store.push(B, BYTES);
    gate = Promise.resolve();
    await assertSound(A, B);
    assert.equal(reports('is damaged (unreadable)').length, 1);
  });
});
