import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { SharedStore } from '../../../test/faults/dedupe/shared-store.ts';
import { nodeFileSystem } from '../../storage/drivers/file-system.ts';
import type { FileSystem } from '../../storage/drivers/file-system.ts';

const REPOS = ['team/a', 'team/b', 'team/b/nested', 'other/c'].map(parseRepoName);
const [A, B, NESTED, C] = REPOS as [RepoName, RepoName, RepoName, RepoName];
const BYTES = Buffer.from('the same bytes everywhere '.repeat(1000));
const DIGEST = digestOf(BYTES);
const TORN = Buffer.from(BYTES).fill('x', 5, 9);
const FINISHED = 'no digests left, finished';

let store: SharedStore;
beforeEach(async () => (store = await SharedStore.create()));
afterEach(() => store.remove());

const sizes = async (repos: readonly RepoName[] = REPOS): Promise<number[]> =>
  [...(await store.files(repos, DIGEST)).values()]
    .map(({ length }) => length)
    .toSorted((left, right) => left - right);

async function pushAll(dedupe: boolean, files?: FileSystem): Promise<void> {
  await store.open(dedupe, files);
  for (const repo of REPOS) {
    await store.push(repo, BYTES);
    await store.push(repo, Buffer.from(`only in ${repo}`));
  }
}

/** Files whose links fail for a reason that a test gives, by the file that is linked. */
function linking(faultOf: (from: string) => string): FileSystem {
  return {
    ...nodeFileSystem,
    link: async (from, to) => {
      const code = faultOf(from);
      if (code !== '') throw Object.assign(new Error(code), { code });
      await nodeFileSystem.link(from, to);
    },
  };
}

describe('a pass with dedupe on', () => {
  test('links what was stored several times, once', async () => {
    await pushAll(false);
    assert.deepEqual(await sizes(), [1, 1, 1, 1]);
    await store.open(true);
    const report = await store.pass();
    assert.deepEqual(
      [report?.linked, report?.savedBytes, report?.damaged, report?.failed],
      [3, 3 * BYTES.length, 0, 0],
    );
    assert.deepEqual(await sizes(), [4]);
    for (const repo of REPOS) assert.equal(await store.read(repo, DIGEST), DIGEST);
    assert.ok(store.messages().includes('deduping blobs for digest finished successfully'));
    assert.equal(store.messages().at(-1), FINISHED);
    assert.equal((await store.pass())?.linked, 0, 'a second pass finds nothing to do');
  });

  test('reads no blob that is shared already', async () => {
    await pushAll(true);
    const reads: string[] = [];
    await store.open(true, {
      ...nodeFileSystem,
      open: (path, ...more) => {
        if (path.includes('/blobs/')) reads.push(path);
        return nodeFileSystem.open(path, ...more);
      },
    });
    reads.length = 0;
    await store.pass();
    assert.deepEqual(reads, []);
  });

  test('never links to a damaged blob of the same size, tells of it, and mends it', async () => {
    await pushAll(false);
    await writeFile(store.fileOf(A, DIGEST), TORN);
    await store.open(true);
    const report = await store.pass();
    for (const repo of REPOS) assert.deepEqual(await readFile(store.fileOf(repo, DIGEST)), BYTES, repo);
    assert.deepEqual(await sizes(), [4]);
    assert.equal(report?.mended, 1);
    assert.ok((report?.damaged ?? 0) >= 1);
    assert.ok(store.opened.reports.some((text) => text.includes('the stored content is damaged')));
  });

  test('mends every name of a damaged file that repositories share', async () => {
    await store.open(true);
    for (const repo of [A, B, NESTED]) await store.push(repo, BYTES);
    await store.open(false);
    await store.push(C, BYTES);
    // The inode itself: all three names.
    await writeFile(store.fileOf(B, DIGEST), TORN);
    await store.open(true);
    // `other/c` comes first by its name; the three are compared with it.
    assert.equal((await store.pass())?.mended, 3);
    for (const repo of REPOS) assert.equal(await store.read(repo, DIGEST), DIGEST);
    // And where the damaged ones come first.
    await store.open(false);
    const first = parseRepoName('aaa');
    await store.push(first, BYTES);
    await writeFile(store.fileOf(first, DIGEST), TORN);
    await store.open(true);
    assert.equal((await store.pass())?.mended, 1);
    assert.deepEqual(await sizes([first, ...REPOS]), [5]);
  });

  test('leaves a damaged file of all places as it is, and says so', async () => {
    await pushAll(false);
    for (const repo of REPOS) await writeFile(store.fileOf(repo, DIGEST), TORN);
    await store.open(true);
    const report = await store.pass();
    assert.deepEqual([report?.linked, report?.mended], [0, 0]);
    assert.ok((report?.damaged ?? 0) >= 3);
    assert.deepEqual(await sizes(), [1, 1, 1, 1]);
  });

  test('begins a new copy where one has too many links', async () => {
    await pushAll(false);
    // The first by name is full from the beginning, the second after one more link.
    const full = (from: string): string => {
      if (from === store.fileOf(C, DIGEST)) return 'EMLINK';
      return '';
    };
    await store.open(true, linking(full));
    const report = await store.pass();
    assert.deepEqual(await sizes(), [1, 3]);
    assert.deepEqual([report?.linked, report?.failed], [2, 0]);
    for (const repo of REPOS) assert.equal(await store.read(repo, DIGEST), DIGEST);
  });

  test('leaves alone what is about to be removed, and what is gone', async () => {
    await pushAll(false);
    await store.open(true);
    await store.opened.index.addTombstones([{ repo: B, digest: DIGEST, sinceMs: 1, modifiedMs: 1 }]);
    await rm(store.fileOf(NESTED, DIGEST));
    const report = await store.pass();
    assert.deepEqual([report?.linked, report?.failed], [1, 0]);
    assert.deepEqual(await sizes(), [1, 2]);
    assert.equal(existsSync(store.fileOf(NESTED, DIGEST)), false);
  });

  test('goes on where it was stopped, and stops at once', async () => {
    await store.open(false);
    const digests = Array.from({ length: 40 }, (_, at) => Buffer.from(`blob ${at}`));
    for (const bytes of digests) for (const repo of [A, B]) await store.push(repo, bytes);
    await store.open(true);
    const stop = new AbortController();
    let steps = 0;
    const pause = async (): Promise<void> => {
      steps += 1;
      if (steps === 25) stop.abort();
    };
    await store.pass({ context: { signal: stop.signal, pause } });
    assert.ok(steps <= 26, `${steps} steps`);
    assert.ok(!store.messages().includes(FINISHED));
    await store.pass();
    for (const bytes of digests) {
      assert.deepEqual([...(await store.files([A, B], digestOf(bytes))).values()], [[A, B]]);
    }
    const state = JSON.parse(await readFile(join(store.root, '_zot/dedupe.json'), 'utf8')) as object;
    assert.deepEqual(state, { mode: 'link', after: '', done: true });
  });

  test('ends when the store is in trouble, and the next one does what is left', async () => {
    await pushAll(false);
    await store.open(
      true,
      linking(() => 'EIO'),
    );
    const report = await store.pass();
    assert.equal(report?.failed, 3);
    assert.ok(store.messages().includes('failed to rebuild digest'));
    await store.open(true);
    assert.equal((await store.pass())?.linked, 3);
  });
});

describe('a pass with dedupe off', () => {
  test('gives each place its own bytes, once, after dedupe was on', async () => {
    await store.open(true);
    await store.pass();
    for (const repo of REPOS) await store.push(repo, BYTES);
    await store.open(false);
    const report = await store.pass();
    assert.deepEqual([report?.copied, report?.copiedBytes, report?.failed], [3, 3 * BYTES.length, 0]);
    assert.deepEqual(await sizes(), [1, 1, 1, 1]);
    for (const repo of REPOS) {
      assert.equal(await store.read(repo, DIGEST), DIGEST);
      assert.deepEqual(await readdir(join(store.root, repo, '.uploads')).catch(() => []), []);
    }
    assert.ok(store.messages().includes('restoring deduped blobs for digest finished successfully'));
    assert.equal(await store.pass(), null);
    assert.equal(store.messages().at(-1), 'restore-complete marker present, skipping dedupe restore scan');
    // On again: linked again.
    await store.open(true);
    assert.equal((await store.pass())?.linked, 3);
    assert.deepEqual(await sizes(), [4]);
  });

  test('leaves links alone where dedupe was never on', async () => {
    await store.open(false);
    await store.push(A, BYTES);
    assert.ok(await store.opened.registry.mountBlob(B, DIGEST, A, () => true));
    assert.equal(await store.pass(), null);
    assert.equal(store.messages().at(-1), FINISHED);
    assert.deepEqual(await sizes(), [2]);
  });

  test('tells of a damaged shared file, and leaves it', async () => {
    await store.open(true);
    await store.pass();
    for (const repo of [A, B]) await store.push(repo, BYTES);
    await writeFile(store.fileOf(A, DIGEST), TORN);
    await store.open(false);
    const report = await store.pass();
    assert.deepEqual([report?.copied, report?.damaged], [0, 2]);
    assert.deepEqual(await sizes(), [2]);
  });

  test('makes no copy that would leave less than the free space that pushes need, and tries again', async () => {
    await store.open(true);
    await store.pass();
    for (const repo of [A, B]) await store.push(repo, BYTES);
    await store.open(false);
    const spaceLimit = { bytes: 0, share: 1 };
    await assert.rejects(store.pass({ parts: { spaceLimit } }), /not enough free space/);
    assert.deepEqual(await sizes(), [2]);
    assert.equal((await store.pass())?.copied, 1);
    assert.deepEqual(await sizes(), [1, 1]);
  });
});
