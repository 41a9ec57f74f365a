import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { digestHex, digestOf } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import { LocalDriver } from '#storage';
import { openRegistry } from '../../../../test/faults/support/opened-registry.ts';
import type { OpenedRegistry } from '../../../../test/faults/support/opened-registry.ts';
import { nodeFileSystem } from '../../../storage/drivers/file-system.ts';
import type { FileSystem } from '../../../storage/drivers/file-system.ts';

const [A, B, C] = ['team/a', 'team/b', 'other/c'].map(parseRepoName) as [
  ReturnType<typeof parseRepoName>,
  ReturnType<typeof parseRepoName>,
  ReturnType<typeof parseRepoName>,
];
const BYTES = Buffer.from('the same bytes everywhere '.repeat(100));
const DIGEST = digestOf(BYTES);

let root = '';
let opened: OpenedRegistry;
/** Why the next links fail; '' makes them. */
let linkFault: (from: string) => string = () => '';

const files: FileSystem = {
  ...nodeFileSystem,
  link: async (from, to) => {
    const code = linkFault(from);
    if (code !== '') throw Object.assign(new Error(code), { code });
    await nodeFileSystem.link(from, to);
  },
};

async function open(dedupe: boolean): Promise<void> {
  opened = await openRegistry({ root, driver: new LocalDriver(root, files), durable: true, dedupe });
}

async function push(repo: typeof A, bytes = BYTES): Promise<void> {
  async function* body(): AsyncGenerator<Buffer> {
    // A copy: whoever takes a piece of a body gives its memory back.
    yield Buffer.from(bytes);
  }
  const source = Object.assign(body(), { stop: () => undefined });
  await opened.registry.uploads.pushWhole(repo, digestOf(bytes), { source });
}

const fileOf = (repo: string, digest: Digest = DIGEST): string =>
  join(root, repo, 'blobs/sha256', digestHex(digest));
const inodeOf = async (repo: string): Promise<number> => (await stat(fileOf(repo))).ino;
const uploadsOf = (repo: typeof A) => Array.fromAsync(opened.storage.repository(repo).listUploads());

async function read(repo: typeof A): Promise<string> {
  const blob = await opened.registry.openBlob(repo, DIGEST);
  try {
    const bytes = Buffer.alloc(blob.sizeBytes);
    await blob.reader.read(bytes, 0);
    return digestOf(bytes);
  } finally {
    await blob.reader.close();
  }
}

describe('a blob that stands elsewhere', () => {
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'zot-sharing-'));
    linkFault = () => '';
  });
  afterEach(async () => {
    await opened.close();
    await rm(root, { recursive: true });
  });

  test('is linked, and its upload is gone', async () => {
    await open(true);
    for (const repo of [A, B, C]) await push(repo);
    assert.equal(await inodeOf(A), await inodeOf(B));
    assert.equal((await stat(fileOf(C))).nlink, 3);
    for (const repo of [A, B, C]) {
      assert.equal(await read(repo), DIGEST);
      assert.deepEqual(await uploadsOf(repo), []);
    }
  });

  test('is stored twice with dedupe off', async () => {
    await open(false);
    for (const repo of [A, B]) await push(repo);
    assert.notEqual(await inodeOf(A), await inodeOf(B));
  });

  test('is one file after pushes at the same time', async () => {
    await open(true);
    const repos = Array.from({ length: 12 }, (_, at) => parseRepoName(`many/r${at}`));
    await Promise.all(repos.map((repo) => push(repo)));
    assert.equal(new Set(await Promise.all(repos.map(inodeOf))).size, 1);
  });

  test('lives on where it is not deleted, whichever of its places is', async () => {
    await open(true);
    for (const repo of [A, B, C]) await push(repo);
    await opened.registry.deleteBlob(A, DIGEST);
    await opened.registry.deleteBlob(C, DIGEST);
    assert.equal(await read(B), DIGEST);
    assert.equal((await stat(fileOf(B))).nlink, 1);
    await push(A);
    assert.equal(await inodeOf(A), await inodeOf(B));
  });

  test('becomes a new copy where the old one has too many links, and that one is linked from then on', async () => {
    await open(true);
    await push(A);
    linkFault = (from) => (from === fileOf(A) ? 'EMLINK' : '');
    for (const repo of [B, C]) await push(repo);
    assert.notEqual(await inodeOf(A), await inodeOf(B));
    assert.equal(await inodeOf(C), await inodeOf(B));
    assert.equal(await read(C), DIGEST);
  });

  test('is not linked to what is damaged or about to be removed', async () => {
    await open(true);
    await push(A);
    await opened.index.addTombstones([{ repo: A, digest: DIGEST, sinceMs: 1, modifiedMs: 1 }]);
    await push(B);
    assert.notEqual(await inodeOf(A), await inodeOf(B));
    for (const repo of [A, B]) {
      const path = `${repo}/blobs/sha256/${digestHex(DIGEST)}`;
      await opened.storage
        .storeOf(repo)
        .driver.put(path, [Buffer.from('torn')], { durable: false, stagingPath: 'stage' });
    }
    await push(C);
    assert.equal(await read(C), DIGEST);
    await push(A);
    assert.equal(await inodeOf(A), await inodeOf(C));
  });

  test('is stored twice on a file system without hard links, which is told at the start', async () => {
    linkFault = () => 'EPERM';
    await open(true);
    const lacking: string[] = [];
    await opened.keeper.probeSharing(({ route }) => lacking.push(route));
    assert.deepEqual(lacking, ['']);
    for (const repo of [A, B]) await push(repo);
    assert.notEqual(await inodeOf(A), await inodeOf(B));
    assert.equal(await read(B), DIGEST);
    await assert.rejects(stat(join(root, 'hardlinkcheck.txt')), { code: 'ENOENT' });
  });
});
