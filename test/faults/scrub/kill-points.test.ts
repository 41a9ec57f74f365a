/**
 * Damage is noted and mended, from another copy and by a push, with the process dying before each call of its disk and
 * of its databases, and in the middle of each write. Whatever it dies at: what is damaged still is known to be, the
 * rest is served right, and doing it again makes all of it good.
 */
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { digestHex, digestOf, parseDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import { LocalDriver } from '#storage';
import { eventually } from '../../support/eventually.ts';
import { nodeFileSystem } from '../../../src/storage/drivers/file-system.ts';
import type { FileSystem } from '../../../src/storage/drivers/file-system.ts';
import { bodyOf } from '../gc/actor.ts';
import { DyingDisk } from '../support/dying-disk.ts';
import type { Death } from '../support/dying-disk.ts';
import { contentOf, imageOf } from '../support/images.ts';
import { readLayouts } from '../support/layout-truth.ts';
import { onLinkedCopy } from '../support/linked-copy.ts';
import { openRegistry } from '../support/opened-registry.ts';
import type { OpenedRegistry, OpenOptions } from '../support/opened-registry.ts';

const [A, B, FAR] = ['app', 'other', 'far/copy'].map(parseRepoName) as [RepoName, RepoName, RepoName];
const REPOS = [A, B, FAR];
const layer = contentOf(Buffer.from('a layer '.repeat(3000)));
const image = imageOf([layer], 'one');
const LAYER = parseDigest(layer.digest);
const MANIFEST = parseDigest(image.manifest.digest);
const contents = [...image.blobs, image.manifest].map(({ digest, bytes }) => ({
  digest: parseDigest(digest),
  bytes,
}));
const CALLS_MAX = 120;
const PATIENCE_MS = 20_000;

function openIt(root: string, dedupe: boolean, disk?: DyingDisk): Promise<OpenedRegistry> {
  const files: FileSystem = disk ?? nodeFileSystem;
  const wraps: Partial<OpenOptions> =
    disk === undefined
      ? {}
      : { wrapIndex: (index) => disk.index(index), wrapDamage: (damage) => disk.damage(damage) };
  const subPaths = { '/far': new LocalDriver(join(root, '_far'), files) };
  const driver = new LocalDriver(root, files);
  return openRegistry({ root, driver, subPaths, durable: true, dedupe, ...wraps });
}

async function withOpened<Result>(
  root: string,
  dedupe: boolean,
  work: (opened: OpenedRegistry) => Promise<Result>,
): Promise<Result> {
  const opened = await openIt(root, dedupe);
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

async function pushBlob({ registry }: OpenedRegistry, repo: RepoName, digest: Digest): Promise<void> {
  const { bytes } = contents.find((one) => one.digest === digest) as (typeof contents)[number];
  await registry.uploads.pushWhole(repo, digest, { source: bodyOf(bytes) });
}

function pushManifest({ registry }: OpenedRegistry, repo: RepoName): Promise<unknown> {
  const { mediaType, bytes } = image.manifest;
  return registry.pushManifest({ repo, reference: readReference('v1'), mediaType, bytes, tags: [] });
}

async function pushImage(opened: OpenedRegistry, repo: RepoName): Promise<void> {
  for (const { digest } of image.blobs) await pushBlob(opened, repo, parseDigest(digest));
  await pushManifest(opened, repo);
}

const folderOf = (root: string, repo: RepoName): string => join(root, repo === FAR ? '_far' : '', repo);
const fileOf = (root: string, repo: RepoName, digest: Digest): string =>
  join(folderOf(root, repo), 'blobs/sha256', digestHex(digest));

async function rot(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Buffer.from('#'), 0, 1, 11);
  await handle.close();
}

const examine = ({ keeper }: OpenedRegistry, repo: RepoName, digest: Digest) =>
  keeper.damage.examine(repo, digest, () => undefined);

async function damage({ index, records }: OpenedRegistry): Promise<string[]> {
  const range = { after: null, limit: 100 };
  const lists = await Promise.all([index.listDamage(range), records.damage.listDamage(range)]);
  const [listed, recorded] = lists.map((rows) =>
    rows.map(({ repo, digest }) => `${repo} ${digest}`).toSorted(),
  );
  assert.deepEqual(listed, recorded, 'the two lists differ');
  return listed ?? [];
}

/** Looks at the index alone: the two lists differ for a moment while they are changed. */
const settled = ({ index }: OpenedRegistry): Promise<number> =>
  eventually(
    async () => (await index.listDamage({ after: null, limit: 1 })).length === 0,
    PATIENCE_MS,
    'all is mended',
  );

interface Operation {
  readonly name: string;
  readonly digest: Digest;
  /** Repositories where it rots, and whether that is known before. */
  readonly rots: readonly RepoName[];
  readonly isKnown: boolean;
  readonly run: (opened: OpenedRegistry) => Promise<unknown>;
  /** Where sound bytes stand as soon as it answered. */
  readonly promises: readonly RepoName[];
}

const operations: readonly Operation[] = [
  {
    name: 'noting, and mending from another copy',
    digest: LAYER,
    rots: [A],
    isKnown: false,
    run: async (opened) => {
      assert.equal(await examine(opened, A, LAYER), 'damaged');
      assert.equal(await opened.keeper.damage.mend(A, LAYER), true);
    },
    promises: [A],
  },
  {
    name: 'mending of all copies from another store',
    digest: LAYER,
    rots: [A, B],
    isKnown: true,
    run: ({ keeper }) => keeper.damage.mend(A, LAYER),
    promises: [A],
  },
  {
    name: 'mending of a manifest from another copy',
    digest: MANIFEST,
    rots: [A],
    isKnown: true,
    run: ({ keeper }) => keeper.damage.mend(A, MANIFEST),
    promises: [A],
  },
  {
    name: 'a push of a blob where all copies are damaged',
    digest: LAYER,
    rots: REPOS,
    isKnown: true,
    run: (opened) => pushBlob(opened, A, LAYER),
    promises: [A],
  },
  {
    name: 'a push of a manifest where all copies are damaged',
    digest: MANIFEST,
    rots: REPOS,
    isKnown: true,
    run: (opened) => pushManifest(opened, B),
    promises: [B],
  },
];

/** Lets the content rot in place, so that what is known is known of the very files that stand there. */
async function decay(root: string, dedupe: boolean, operation: Operation): Promise<void> {
  const { digest, rots, isKnown } = operation;
  for (const repo of rots) await rot(fileOf(root, repo, digest));
  if (!isKnown) return;
  await withOpened(root, dedupe, async (opened) => {
    for (const repo of rots) assert.equal(await examine(opened, repo, digest), 'damaged');
  });
}

interface Died {
  readonly answered: boolean;
  readonly ended: boolean;
  readonly calls: readonly string[];
}

/** Runs the operation, and what it does after its answer, with a death. */
async function die(root: string, dedupe: boolean, operation: Operation, death: Death): Promise<Died> {
  const disk = new DyingDisk();
  const opened = await openIt(root, dedupe, disk);
  let answered = false;
  const play = async (): Promise<boolean> => {
    await operation.run(opened);
    answered = true;
    await settled(opened);
    return true;
  };
  try {
    disk.arm(death);
    const ended = await Promise.race([play(), disk.died.then(() => false)]);
    return { answered, ended, calls: [...disk.calls] };
  } finally {
    await disk.bury();
    await opened.abandon();
  }
}

async function isSound(root: string, repo: RepoName, digest: Digest): Promise<boolean> {
  return digestOf(await readFile(fileOf(root, repo, digest))) === digest;
}

/** What is served of a content: its bytes, or `null` where it is refused as damaged. */
async function served({ registry }: OpenedRegistry, repo: RepoName, digest: Digest): Promise<Buffer | null> {
  try {
    const blob = await registry.openBlob(repo, digest);
    const bytes = Buffer.alloc(blob.sizeBytes);
    await blob.reader.read(bytes, 0);
    await blob.reader.close();
    return bytes;
  } catch (error) {
    if (error instanceof RegistryError && error.detail?.reason === 'damaged') return null;
    throw error;
  }
}

/** What was damaged is known to be, unless nobody knew it before; what is sound is served. */
async function judge(root: string, opened: OpenedRegistry, operation: Operation): Promise<void> {
  await damage(opened);
  for (const repo of REPOS) {
    for (const { digest, bytes } of contents) {
      const sound = await isSound(root, repo, digest);
      if (!sound && !operation.isKnown && (await opened.index.findDamage(repo, digest)) === null) continue;
      const found = await served(opened, repo, digest);
      // What asks for it may have it mended meanwhile.
      const isRight = found === null ? !sound : found.equals(bytes);
      assert.ok(isRight, `${repo} ${digest} is ${sound ? 'sound and refused' : 'damaged and served'}`);
    }
  }
}

/** Does it again, and all is good. */
async function again(root: string, opened: OpenedRegistry, operation: Operation): Promise<void> {
  if (operation.rots.length === REPOS.length) await operation.run(opened);
  else {
    for (const repo of REPOS) {
      if ((await examine(opened, repo, operation.digest)) === 'damaged')
        await opened.keeper.damage.mend(repo, operation.digest);
    }
  }
  await settled(opened);
  for (const repo of REPOS) {
    for (const { digest, bytes } of contents)
      assert.deepEqual(await served(opened, repo, digest), bytes, `${repo} ${digest}`);
    const pulled = await opened.registry.pullManifest(repo, readReference('v1'));
    assert.ok(pulled.bytes.equals(image.manifest.bytes));
  }
  for (const folder of [root, join(root, '_far')]) assert.deepEqual((await readLayouts(folder)).faults, []);
}

describe('damage whose process dies', { timeout: 240_000 }, () => {
  for (const dedupe of [true, false]) {
    describe(`with dedupe ${dedupe ? 'on' : 'off'}`, () => {
      let base = '';
      before(async () => {
        base = await mkdtemp(join(tmpdir(), 'zot-scrub-kill-'));
        await withOpened(base, dedupe, async (opened) => {
          for (const repo of REPOS) await pushImage(opened, repo);
        });
      });
      after(() => rm(base, { recursive: true, force: true }));

      for (const operation of operations) {
        test(`is known still, or mended: ${operation.name}`, async (context) => {
          const names = new Set<string>();
          const tryAt = (death: Death): Promise<Died> =>
            onLinkedCopy(base, async (root) => {
              await decay(root, dedupe, operation);
              const died = await die(root, dedupe, operation, death);
              for (const repo of died.answered ? operation.promises : [])
                assert.ok(await isSound(root, repo, operation.digest), `${repo} was called good`);
              await withOpened(root, dedupe, async (opened) => {
                await judge(root, opened, operation);
                await again(root, opened, operation);
              });
              return died;
            });
          for (let at = 1, finished = false; !finished; at += 1) {
            assert.ok(at < CALLS_MAX, 'it makes too many calls');
            for (const torn of [false, true]) {
              const { ended, calls } = await tryAt({ at, torn });
              finished = ended;
              const last = calls.at(-1) ?? '';
              names.add(last);
              // Only writes can be torn.
              if (finished || !last.startsWith('write')) break;
            }
          }
          context.diagnostic([...names].join(', '));
          for (const name of ['rename', 'index.removeDamage', 'damage.removeDamage'])
            assert.ok(names.has(name), `it never came to ${name}`);
        });
      }
    });
  }
});
