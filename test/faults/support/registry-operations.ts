/** Every operation that changes a registry, as its operations, on a small folder that is always the same. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDigest } from '#oci/digest';
import { parseTag, readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { BodySource, Registry } from '#registry';
import { LocalDriver } from '#storage';
import { contentOf, imageOf, indexOf } from './images.ts';
import type { Content, Manifest } from './images.ts';
import { openRegistry } from './opened-registry.ts';
import type { OpenedRegistry } from './opened-registry.ts';
import { viewOf } from './registry-view.ts';
import type { Known, View } from './registry-view.ts';
import { onCopy } from './sample-folder.ts';

const APP = parseRepoName('library/app');
const OTHER = parseRepoName('library/app/other');
const NEW = parseRepoName('new/one');
const RENAMED = parseRepoName('new/two');

const layer = contentOf(Buffer.from('a layer '.repeat(900)));
const unused = contentOf(Buffer.from('a blob that no manifest names'));
const fresh = contentOf(Buffer.from('a blob that was never pushed '.repeat(400)));
const one = imageOf([layer], 'one');
const two = imageOf([layer], 'two');
const three = imageOf([layer], 'three');
const both = indexOf([one.manifest, two.manifest]);

export const known: Known = {
  repos: [APP, OTHER, NEW, RENAMED],
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

/** What every operation begins with. */
export async function fill(registry: Registry): Promise<void> {
  for (const blob of [layer, unused, ...one.blobs, ...two.blobs, ...three.blobs])
    await pushBlob(registry, APP, blob);
  await pushManifest(registry, APP, one.manifest, { reference: 'latest' });
  await pushManifest(registry, APP, one.manifest, { reference: 'v1' });
  await pushManifest(registry, APP, two.manifest, { reference: 'v2' });
  for (const blob of one.blobs) await pushBlob(registry, NEW, blob);
}

export interface Operation {
  readonly name: string;
  readonly run: (registry: Registry, opened: OpenedRegistry, root: string) => Promise<void>;
}

export const operations: readonly Operation[] = [
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
    name: 'rename of a repository',
    run: async (registry) => void (await registry.renameRepository(APP, RENAMED)),
  },
  {
    name: 'removal of a repository',
    run: async (registry) => void (await registry.removeRepository(APP)),
  },
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

/** Fills a folder with what every operation begins with. */
export async function fillFolder(root: string): Promise<void> {
  await withRegistry(root, false, ({ registry }) => fill(registry));
}

/** Opens a folder, and closes it after the work. */
export async function withRegistry<Result>(
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

/** What is shown before an operation on a folder and after it; the folder itself is left alone. */
export async function expectationsOf(
  operation: Operation,
  folder: string,
  durable: boolean,
): Promise<{ old: View; new: View }> {
  return onCopy(folder, (root) =>
    withRegistry(root, durable, async (opened) => {
      const { registry } = opened;
      const old = await viewOf(registry, known);
      await operation.run(registry, opened, root);
      return { old, new: await viewOf(registry, known) };
    }),
  );
}
