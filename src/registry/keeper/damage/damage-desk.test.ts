import assert from 'node:assert/strict';
import { link, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { digestHex, digestOf } from '#oci/digest';
import type { Digest, DigestAlgorithm } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { eventually } from '../../../../test/support/eventually.ts';
import { pushOf } from '../../../../test/support/opened-keeper.ts';
import { openRegistry } from '../../../../test/faults/support/opened-registry.ts';
import type { OpenedRegistry } from '../../../../test/faults/support/opened-registry.ts';
import { nodeFileSystem } from '../../../storage/drivers/file-system.ts';
import type { FileSystem } from '../../../storage/drivers/file-system.ts';

const names = ['team/a', 'team/b', 'team/c', 'sub/d'].map(parseRepoName);
const [A, B, C, D] = names as [RepoName, RepoName, RepoName, RepoName];
const BYTES = Buffer.from('bytes that will rot '.repeat(1000));
const DIGEST = digestOf(BYTES);
const ALL: readonly RepoName[] = [A, B, C, D];

let root = '';
let opened: OpenedRegistry;

/** Names of the file that the device fails to read. */
let broken: readonly string[] = [];
/** Names of the files that were opened. */
let reads: string[] = [];
const files: FileSystem = {
  ...nodeFileSystem,
  open: async (file, ...more) => {
    reads.push(String(file));
    if (broken.includes(String(file))) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    return nodeFileSystem.open(file, ...more);
  },
};

async function openIt(): Promise<void> {
  const drivers = {
    driver: new LocalDriver(root, files),
    subPaths: { '/sub': new LocalDriver(join(root, 'other')) },
  };
  opened = await openRegistry({ root, ...drivers, durable: true, dedupe: true });
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'zot-damage-'));
  await openIt();
});
afterEach(async () => {
  await opened.close();
  await rm(root, { recursive: true });
});

async function push(repo: RepoName, bytes = BYTES, algorithm: DigestAlgorithm = 'sha256'): Promise<void> {
  async function* body(): AsyncGenerator<Buffer> {
    // A copy: whoever takes a piece of a body gives its memory back.
    yield Buffer.from(bytes);
  }
  const source = Object.assign(body(), { stop: () => undefined });
  await opened.registry.uploads.pushWhole(repo, digestOf(bytes, algorithm), { source });
}

function fileOf(repo: RepoName, digest: Digest = DIGEST): string {
  const folder = repo === D ? join(root, 'other') : root;
  return join(folder, repo, 'blobs', digest.slice(0, digest.indexOf(':')), digestHex(digest));
}

/** Changes one bit and leaves size and times alone, as a disk does that rots. */
async function rot(repo: RepoName, digest: Digest = DIGEST): Promise<void> {
  const file = fileOf(repo, digest);
  const { atime, mtime } = await stat(file);
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, 7);
    byte[0] = (byte[0] ?? 0) ^ 4;
    await handle.write(byte, 0, 1, 7);
    await handle.utimes(atime, mtime);
  } finally {
    await handle.close();
  }
}

const examine = (repo: RepoName, digest: Digest = DIGEST) =>
  opened.keeper.damage.examine(repo, digest, () => undefined);
const damaged = async (): Promise<string[]> => {
  const rows = await opened.index.listDamage({ after: null, limit: 100 });
  return rows.map(({ repo, kind }) => `${repo} ${kind}`);
};
const inodeOf = async (repo: RepoName): Promise<number> => (await stat(fileOf(repo))).ino;

/** What a pull gives: the digest of its bytes, or the code and reason of the refusal. */
async function pull(repo: RepoName, digest: Digest = DIGEST): Promise<string> {
  try {
    const blob = await opened.registry.openBlob(repo, digest);
    const bytes = Buffer.alloc(blob.sizeBytes);
    await blob.reader.read(bytes, 0);
    await blob.reader.close();
    return digestOf(bytes);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return `${error.code} ${String(error.detail?.reason ?? '')}`.trim();
  }
}

/** Waits for work that is done after an answer. */
const sound = () =>
  eventually(async () => (await damaged()).length === 0, 20_000, 'nothing is damaged any more');

describe('damaged content', { timeout: 60_000 }, () => {
  test('is noted for every name of its file, and refused by each, also after a restart', async () => {
    for (const repo of [A, B]) await push(repo);
    assert.equal(await inodeOf(A), await inodeOf(B));
    await rot(A);
    assert.equal(await examine(B), 'damaged');
    assert.deepEqual(await damaged(), [`${A} wrong-digest`, `${B} wrong-digest`]);
    for (const repo of [A, B]) {
      assert.equal(await pull(repo), 'BLOB_UNKNOWN damaged');
      assert.ok(opened.reports.some((line) => line.startsWith(`${repo} ${DIGEST} the stored content is`)));
    }
    await opened.close();
    await openIt();
    assert.equal(await pull(A), 'BLOB_UNKNOWN damaged');
  });

  test('is found by whoever waited for a look that somebody else broke off', async () => {
    await push(A);
    await rot(A);
    const [reading, stopping] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const stopped = opened.keeper.damage.examine(A, DIGEST, () => {
      reading.resolve();
      return stopping.promise;
    });
    const waiting = [examine(A), examine(A)];
    await reading.promise;
    stopping.reject(new Error('stopped'));
    await assert.rejects(stopped, /stopped/);
    assert.deepEqual(await Promise.all(waiting), ['damaged', 'damaged']);
  });

  test('is known again when the index, or the records, were lost', async () => {
    await push(A);
    await rot(A);
    await examine(A);
    for (const file of ['index.db', 'records.db']) {
      await opened.close();
      for (const suffix of ['', '-wal', '-shm'])
        await rm(join(root, OWN_FOLDER, `${file}${suffix}`), { force: true });
      await openIt();
      assert.equal(await pull(A), 'BLOB_UNKNOWN damaged', file);
    }
  });

  test('is replaced by a push, not linked to, and by that mended everywhere', async () => {
    for (const repo of [A, B]) await push(repo);
    await rot(A);
    await examine(A);
    await push(C);
    assert.equal(await pull(C), DIGEST);
    await sound();
    for (const repo of [A, B]) assert.equal(await pull(repo), DIGEST);
    // Stored once again.
    assert.equal(await inodeOf(A), await inodeOf(C));
    assert.equal(await inodeOf(B), await inodeOf(C));
  });

  test('is mended from another store without a push', async () => {
    for (const repo of ALL) await push(repo);
    await rot(B);
    assert.equal(await examine(A), 'damaged');
    assert.equal(await opened.keeper.damage.mend(A, DIGEST), true);
    await sound();
    for (const repo of ALL) assert.equal(await pull(repo), DIGEST);
    assert.equal(await inodeOf(A), await inodeOf(C));
    assert.deepEqual(await Array.fromAsync(opened.storage.repository(A).listUploads()), []);
  });

  test('is not mended from a copy that turns out to be damaged, too', async () => {
    for (const repo of [A, D]) await push(repo);
    await rot(A);
    await rot(D);
    await examine(A);
    assert.equal(await opened.keeper.damage.mend(A, DIGEST), false);
    assert.deepEqual(await damaged(), [`${D} wrong-digest`, `${A} wrong-digest`]);
    const staged = await opened.storage.repository(A).removeStaged();
    assert.deepEqual(staged, { removed: 0, hasUploads: false });
    assert.equal(await opened.storage.repository(A).holdsNothing(), false);
  });

  test('that another tool mends is served again, whatever times the file has', async () => {
    await push(A);
    const { atime, mtime } = await stat(fileOf(A));
    await rot(A);
    await examine(A);
    assert.equal(await pull(A), 'BLOB_UNKNOWN damaged');
    const fresh = join(root, 'fresh');
    await writeFile(fresh, BYTES);
    const handle = await open(fresh, 'r+');
    await handle.utimes(atime, mtime);
    await handle.close();
    await rm(fileOf(A));
    await link(fresh, fileOf(A));
    assert.equal(await pull(A), DIGEST);
    assert.deepEqual(await damaged(), []);
  });

  test('is found by a pull: a file cut short, gone, or that cannot be read', async () => {
    await push(A);
    await push(B);
    await truncate(fileOf(A), 100);
    assert.equal(await pull(A), 'BLOB_UNKNOWN damaged');
    assert.deepEqual(await damaged(), [`${A} wrong-size`, `${B} wrong-size`]);
    assert.equal(await pull(B), 'BLOB_UNKNOWN damaged');
    await push(A);
    await sound();
    assert.equal(await pull(B), DIGEST);
    broken = [A, B].map((repo) => fileOf(repo));
    await assert.rejects(pull(A), { fault: 'unavailable' });
    for (const repo of [A, B]) assert.equal(await pull(repo), 'BLOB_UNKNOWN damaged');
    // A device that is back shows at no file: it is tried again.
    broken = [];
    for (const repo of [A, B]) assert.equal(await pull(repo), DIGEST);
    await rm(fileOf(A));
    assert.equal(await pull(A), 'BLOB_UNKNOWN');
  });

  test('that is large is read once, however many ask for it before it is known', async () => {
    const bytes = Buffer.alloc(17 * 1024 * 1024, 'large ');
    const digest = digestOf(bytes);
    for (const repo of [A, D]) await push(repo, bytes);
    await rot(A, digest);
    reads = [];
    const answers = await Promise.all(Array.from({ length: 5 }, () => opened.keeper.lookAt(A, digest)));
    assert.deepEqual(new Set(answers), new Set([null]));
    const isOver = (): boolean => opened.reports.some((line) => line.endsWith('is over'));
    await eventually(isOver, 20_000, 'the mending is over');
    assert.equal(await opened.keeper.lookAt(A, digest), null);
    await opened.keeper.damage.close();
    assert.ok(reads.filter((file) => file === fileOf(A, digest)).length <= 2, reads.join());
    assert.equal(await pull(A, digest), digest);
  });

  test('that counts as absent leaves nothing behind under an old name', async () => {
    await push(A);
    const config = Buffer.from('{}');
    await push(A, config);
    const mediaType = 'application/vnd.oci.image.config.v1+json';
    const descriptor = { mediaType, digest: digestOf(config), size: config.length };
    await opened.keeper.pushManifest(pushOf(A, { config: descriptor, layers: [] }, ['v1']));
    await rot(A);
    await examine(A);
    const sinceMs = (await opened.index.findCandidate(A, DIGEST))?.sinceMs ?? 0;
    assert.equal(await opened.keeper.garbage.buryBlob(A, DIGEST, sinceMs), true);
    await opened.keeper.renameRepository(A, C);
    assert.deepEqual(await damaged(), [`${C} wrong-digest`]);
  });

  test('is not mounted, and no manifest that needs it is taken', async () => {
    await push(A);
    await rot(A);
    await examine(A);
    assert.equal(await opened.keeper.mountBlob(C, A, DIGEST), false);
    assert.equal(await opened.keeper.mountBlob(A, A, DIGEST), false);
    const config = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: DIGEST,
      size: BYTES.length,
    };
    await assert.rejects(opened.keeper.pushManifest(pushOf(A, { config, layers: [] }, ['v1'])), (error) => {
      assert.ok(error instanceof RegistryError);
      assert.equal(error.code, 'MANIFEST_BLOB_UNKNOWN');
      assert.ok(error.message.includes(DIGEST));
      return true;
    });
    await push(D);
    await sound();
    await rot(D);
    await examine(D);
    // Where a place is damaged, the bytes of another place are not trusted unread.
    assert.equal(await opened.registry.mountBlob(D, DIGEST, D, () => true), false);
    assert.equal(await opened.keeper.mountBlob(C, A, DIGEST), true);
  });

  test('of a size that only a manifest claims is none: the bytes decide', async () => {
    await push(A);
    await opened.index.addBlobs(A, [{ digest: DIGEST, sizeBytes: 5 }]);
    assert.equal(await pull(A), DIGEST);
    assert.deepEqual(await damaged(), []);
    assert.equal((await opened.index.findBlob(A, DIGEST))?.sizeBytes, BYTES.length);
  });

  test('is judged by the algorithm of its digest', async () => {
    for (const algorithm of ['sha384', 'sha512'] as const) {
      await push(A, BYTES, algorithm);
      const digest = digestOf(BYTES, algorithm);
      assert.equal(await examine(A, digest), 'sound');
      await rot(A, digest);
      assert.equal(await examine(A, digest), 'damaged');
    }
    assert.equal(await examine(A, digestOf(Buffer.from('nowhere'))), 'absent');
  });

  test('goes off the list when it is deleted', async () => {
    await push(A);
    await rot(A);
    await examine(A);
    await opened.registry.deleteBlob(A, DIGEST);
    assert.deepEqual(await damaged(), []);
    assert.equal(await pull(A), 'BLOB_UNKNOWN');
  });

  test('a link that is made while damage is noted is noted, too', async () => {
    await push(A);
    await rot(A);
    const pushes = Array.from({ length: 20 }, (_, at) => parseRepoName(`race/r${at}`));
    await Promise.all([...pushes.map((repo) => push(repo)), examine(A)]);
    await Promise.all([...pushes.map((repo) => push(repo)), push(A)]);
    await sound();
    for (const repo of [A, ...pushes]) assert.equal(digestOf(await readFile(fileOf(repo))), await pull(repo));
  });

  test('what would mend another is not collected', async () => {
    await push(A);
    await push(D);
    await rot(A);
    await examine(A);
    const collect = async (repo: RepoName): Promise<boolean> => {
      const sinceMs = (await opened.index.findCandidate(repo, DIGEST))?.sinceMs ?? 0;
      const { garbage } = opened.keeper;
      return (
        (await garbage.buryBlob(repo, DIGEST, sinceMs)) && (await garbage.collectBlob(repo, DIGEST)) !== null
      );
    };
    assert.equal(await collect(D), false);
    assert.equal(await collect(A), true);
    assert.deepEqual(await damaged(), []);
    assert.equal(await collect(D), true);
  });
});
