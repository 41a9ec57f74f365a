/**
 * R2: every operation that changes something, with the process dying before each call of its disk and of its index in
 * turn, and in the middle of each write. What is found after a restart is the state before the operation or the state
 * after it, never a third; the state after it when it was acknowledged; the same without index.db; and the operation
 * can be done again.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseDigest } from '#oci/digest';
import { parseTag, readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { BodySource, Registry } from '#registry';
import { RegistryError } from '#registry';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { DyingDisk } from './support/dying-disk.ts';
import type { Death } from './support/dying-disk.ts';
import { contentOf, imageOf, indexOf } from './support/images.ts';
import type { Content, Manifest } from './support/images.ts';
import { readLayouts } from './support/layout-truth.ts';
import { openRegistry } from './support/opened-registry.ts';
import type { OpenedRegistry } from './support/opened-registry.ts';
import { viewOf } from './support/registry-view.ts';
import type { Known, View } from './support/registry-view.ts';

const APP = parseRepoName('library/app');
const OTHER = parseRepoName('library/app/other');
const NEW = parseRepoName('new/one');
const CALLS_MAX = 80;

const layer = contentOf(Buffer.from('a layer '.repeat(900)));
const unused = contentOf(Buffer.from('a blob that no manifest names'));
const fresh = contentOf(Buffer.from('a blob that was never pushed '.repeat(400)));
const one = imageOf([layer], 'one');
const two = imageOf([layer], 'two');
const three = imageOf([layer], 'three');
const both = indexOf([one.manifest, two.manifest]);

const known: Known = {
  repos: [APP, OTHER, NEW],
  manifests: [one, two, three].map(({ manifest }) => manifest.digest).concat(both.digest),
  blobs: [layer, unused, fresh, ...[one, two, three].map(({ blobs }) => blobs[0] ?? layer)].map(
    ({ digest }) => digest,
  ),
};

function bodyOf(...parts: readonly Buffer[]): BodySource {
  async function* pieces(): AsyncGenerator<Buffer> {
    yield* parts;
  }
  return Object.assign(pieces(), { stop: () => undefined });
}

async function pushBlob(registry: Registry, repo: typeof APP, blob: Content): Promise<void> {
  await registry.uploads.pushWhole(repo, parseDigest(blob.digest), { source: bodyOf(blob.bytes) });
}

async function pushManifest(
  registry: Registry,
  repo: typeof APP,
  manifest: Manifest,
  options: { reference?: string; tags?: readonly string[] } = {},
): Promise<void> {
  await registry.pushManifest({
    repo,
    reference: readReference(options.reference ?? manifest.digest),
    mediaType: manifest.mediaType,
    bytes: manifest.bytes,
    tags: (options.tags ?? []).map(parseTag),
  });
}

/** The folder that every operation begins with. */
async function fill(registry: Registry): Promise<void> {
  for (const blob of [layer, unused, ...one.blobs, ...two.blobs, ...three.blobs])
    await pushBlob(registry, APP, blob);
  await pushManifest(registry, APP, one.manifest, { reference: 'latest' });
  await pushManifest(registry, APP, one.manifest, { reference: 'v1' });
  await pushManifest(registry, APP, two.manifest, { reference: 'v2' });
  for (const blob of one.blobs) await pushBlob(registry, NEW, blob);
}

interface Operation {
  readonly name: string;
  readonly run: (registry: Registry, opened: OpenedRegistry, root: string) => Promise<void>;
}

const operations: readonly Operation[] = [
  { name: 'push of a blob in one request', run: (registry) => pushBlob(registry, APP, fresh) },
  {
    name: 'push of a blob in pieces',
    run: async (registry) => {
      const upload = { repo: OTHER, id: await registry.uploads.start(OTHER) };
      await registry.uploads.append(upload, { source: bodyOf(fresh.bytes.subarray(0, 100)) });
      const body = { source: bodyOf(fresh.bytes.subarray(100)), offset: 100 };
      await registry.uploads.finish(upload, parseDigest(fresh.digest), body);
    },
  },
  {
    name: 'upload that is cancelled',
    run: async (registry) => {
      const upload = { repo: APP, id: await registry.uploads.start(APP) };
      await registry.uploads.append(upload, { source: bodyOf(fresh.bytes) });
      await registry.uploads.cancel(upload);
    },
  },
  {
    name: 'mount of a blob into a new repository',
    run: async (registry) => {
      assert.ok(await registry.mountBlob(OTHER, parseDigest(layer.digest), APP, () => true));
    },
  },
  {
    name: 'first push into a repository',
    run: (registry) => pushManifest(registry, NEW, one.manifest, { reference: 'first' }),
  },
  {
    name: 'push of a new manifest with a new tag',
    run: (registry) => pushManifest(registry, APP, three.manifest, { reference: 'v3' }),
  },
  {
    name: 'move of a tag to a new manifest',
    run: (registry) => pushManifest(registry, APP, three.manifest, { reference: 'latest' }),
  },
  {
    name: 'move of the last tag of a manifest',
    run: (registry) => pushManifest(registry, APP, one.manifest, { reference: 'v2' }),
  },
  {
    name: 'push by digest with several tags',
    run: (registry) => pushManifest(registry, APP, three.manifest, { tags: ['a', 'b', 'v2'] }),
  },
  { name: 'push of an index', run: (registry) => pushManifest(registry, APP, both, { reference: 'all' }) },
  {
    name: 'delete of a tag',
    run: (registry) => registry.deleteManifest(APP, readReference('latest')),
  },
  {
    name: 'delete of the last tag of a manifest',
    run: (registry) => registry.deleteManifest(APP, readReference('v2')),
  },
  {
    name: 'delete of a manifest with two tags',
    run: (registry) => registry.deleteManifest(APP, readReference(one.manifest.digest)),
  },
  { name: 'delete of a blob', run: (registry) => registry.deleteBlob(APP, parseDigest(unused.digest)) },
  {
    name: 'reading a repository that another tool changed',
    run: async (_registry, { keeper }, root) => {
      const path = join(root, APP, 'index.json');
      const text = (await readFile(path, 'utf8')).replaceAll('"v1"', '"renamed"');
      await writeFile(path, text);
      await keeper.refresh(APP);
    },
  },
];

let base = '';
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'zot-kill-points-'));
  const opened = await openRegistry({ root: base, driver: new LocalDriver(base), durable: false });
  await fill(opened.registry);
  await opened.close();
});
after(async () => {
  await rm(base, { recursive: true, force: true });
});

/** Works on a copy of a folder, and removes it. */
async function onCopy<Result>(source: string, work: (root: string) => Promise<Result>): Promise<Result> {
  const root = await mkdtemp(join(tmpdir(), 'zot-kill-points-'));
  try {
    // Times are kept, since the index knows index.json by them; the inode is another one, as after a restore.
    await cp(source, root, { recursive: true, preserveTimestamps: true });
    return await work(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function withRegistry<Result>(
  root: string,
  durable: boolean,
  work: (opened: OpenedRegistry) => Promise<Result>,
): Promise<Result> {
  const opened = await openRegistry({ root, driver: new LocalDriver(root), durable });
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

/** Carries out the operation with a death; gives whether it was acknowledged, after `look` saw the folder then. */
async function die(
  operation: Operation,
  options: { root: string; durable: boolean; death: Death },
  look: (root: string, acknowledged: boolean) => Promise<void>,
): Promise<{ acknowledged: boolean; calls: readonly string[] }> {
  const { root, durable, death } = options;
  const disk = new DyingDisk();
  const driver = new LocalDriver(root, disk);
  const opened = await openRegistry({ root, driver, durable, wrapIndex: (index) => disk.index(index) });
  try {
    disk.arm(death);
    const done = operation.run(opened.registry, opened, root).then(() => true);
    const acknowledged = await Promise.race([done, disk.died.then(() => false)]);
    await onCopy(root, (copy) => look(copy, acknowledged));
    return { acknowledged, calls: [...disk.calls] };
  } finally {
    await disk.bury();
    await opened.close();
  }
}

/** The states that a crash of the operation may leave. */
async function expectations(operation: Operation, durable: boolean): Promise<{ old: View; new: View }> {
  return onCopy(base, (root) =>
    withRegistry(root, durable, async (opened) => {
      const { registry } = opened;
      const old = await viewOf(registry, known);
      await operation.run(registry, opened, root);
      return { old, new: await viewOf(registry, known) };
    }),
  );
}

async function judge(
  root: string,
  expected: { old: View; new: View },
  acknowledged: boolean,
  durable: boolean,
): Promise<void> {
  const truth = await readLayouts(root);
  assert.deepEqual(truth.faults, []);
  const found = await withRegistry(root, durable, ({ registry }) => viewOf(registry, known));
  const isOld = JSON.stringify(found) === JSON.stringify(expected.old);
  if (acknowledged || !isOld) assert.deepEqual(found, expected.new);
  for (const suffix of ['', '-wal', '-shm'])
    await rm(join(root, OWN_FOLDER, `index.db${suffix}`), { force: true });
  const rebuilt = await withRegistry(root, durable, ({ registry }) => viewOf(registry, known));
  assert.deepEqual(rebuilt, found, 'without index.db the answers differ');
}

/** Again after the restart: it succeeds, or finds nothing left to do, and then all is as after it. */
async function repeat(operation: Operation, root: string, expected: View, durable: boolean): Promise<void> {
  await withRegistry(root, durable, async (opened) => {
    const { registry } = opened;
    try {
      await operation.run(registry, opened, root);
    } catch (error) {
      if (!(error instanceof RegistryError && error.status === 404)) throw error;
    }
    assert.deepEqual(await viewOf(registry, known), expected);
  });
}

describe('an operation whose process dies', { timeout: 240_000 }, () => {
  for (const operation of operations) {
    for (const durable of [true, false]) {
      test(`is done or not done, never half: ${operation.name}, commit ${durable}`, async (context) => {
        const expected = await expectations(operation, durable);
        const names = new Set<string>();
        for (let at = 1, finished = false; !finished; at += 1) {
          assert.ok(at < CALLS_MAX, 'the operation makes too many calls');
          for (const torn of [false, true]) {
            const { acknowledged, calls } = await onCopy(base, (root) =>
              die(operation, { root, durable, death: { at, torn } }, async (left, done) => {
                await judge(left, expected, done, durable);
                await repeat(operation, left, expected.new, durable);
              }),
            );
            finished = acknowledged;
            const last = calls.at(-1) ?? '';
            names.add(last);
            // Only writes can be torn: for the others the second death is the same as the first.
            if (!last.startsWith('write')) break;
          }
        }
        context.diagnostic([...names].join(', '));
      });
    }
  }
});
