/**
 * R2 for imports: the process dies before a call of its disk or its index, or in the middle of a write. What is found
 * then is sound, what has a name is whole, and the same import again brings everything.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { Tally, importDockerRegistry, importLayouts } from '#transfer';
import type { ImportParts } from '#transfer';
import { parseRepoName } from '#oci/repo-name';
import { LocalDriver } from '#storage';
import { TarWriter } from '../../src/transfer/tar-writer.ts';
import { descriptorOf, imageOf, indexOf } from '../e2e/support/content.ts';
import type { Content } from '../e2e/support/content.ts';
import { contentsOf, tagged } from '../e2e/support/layout.ts';
import { DyingDisk } from './support/dying-disk.ts';
import type { Death } from './support/dying-disk.ts';
import { readLayouts } from './support/layout-truth.ts';
import { openRegistry } from './support/opened-registry.ts';
import type { OpenedRegistry } from './support/opened-registry.ts';
import { onCopy } from './support/sample-folder.ts';
import { roundsOr, timeoutFor } from './support/settings.ts';

const CALLS_MAX = 400;
/** In a short run the process dies at every so many calls; in a long one at each. */
const STRIDE = roundsOr(1) > 1 ? 1 : 7;

const amd = imageOf('amd');
const arm = imageOf('arm');
const multi = indexOf([descriptorOf(amd.manifest), descriptorOf(arm.manifest)]);
const signature = imageOf('signature', { subject: descriptorOf(multi) });
const contents: readonly Content[] = [
  ...contentsOf(amd),
  ...contentsOf(arm),
  multi,
  ...contentsOf(signature),
];
const TAGS = { multi: multi.digest, amd: amd.manifest.digest };
const repo = parseRepoName('team/app');

let folder = '';
let empty = '';
let archive: Buffer = Buffer.alloc(0);
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zot-import-deaths-'));
  empty = join(folder, 'empty');
  await mkdir(empty);
  archive = await archiveOf();
  await writeDockerRegistry(join(folder, 'peer'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function archiveOf(): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const tar = new TarWriter(async (bytes) => void pieces.push(Buffer.from(bytes)));
  const manifests = [tagged(multi, 'multi'), tagged(amd.manifest, 'amd'), descriptorOf(signature.manifest)];
  await tar.add('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
  for (const { digest, bytes } of contents) await tar.add(`blobs/${digest.replace(':', '/')}`, bytes);
  await tar.end();
  return Buffer.concat(pieces);
}

async function writeDockerRegistry(root: string): Promise<void> {
  const inner = join(root, 'docker/registry/v2');
  const put = async (path: string, bytes: Buffer | string): Promise<void> => {
    await mkdir(dirname(join(inner, path)), { recursive: true });
    await writeFile(join(inner, path), bytes);
  };
  for (const { digest, bytes } of contents) {
    const hex = digest.slice('sha256:'.length);
    await put(`blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, bytes);
  }
  const manifests = `repositories/${repo}/_manifests`;
  for (const { digest } of [amd.manifest, arm.manifest, multi, signature.manifest])
    await put(`${manifests}/revisions/${digest.replace(':', '/')}/link`, digest);
  for (const [tag, digest] of Object.entries(TAGS))
    await put(`${manifests}/tags/${tag}/current/link`, digest);
}

type Import = (parts: ImportParts) => Promise<void>;

const imports: Readonly<Record<string, Import>> = {
  'an archive': (parts) => importLayouts(parts, { source: Readable.from([archive]), repo, tags: [] }),
  'a docker-registry': (parts) => importDockerRegistry(parts, join(folder, 'peer'), null),
};

function partsOf({ registry, keeper, index, storage }: OpenedRegistry): ImportParts {
  return { registry, keeper, index, storage, manifestSizeBytesMax: 4 * 1024 * 1024, tally: new Tally() };
}

async function importAll(run: Import, root: string): Promise<void> {
  const opened = await openRegistry({ root, driver: new LocalDriver(root), durable: true });
  try {
    const parts = partsOf(opened);
    await run(parts);
    assert.deepEqual(parts.tally.skipped, []);
  } finally {
    await opened.close();
  }
}

/** Imports with a death; gives whether the import ended before it, after `look` saw the folder as it was then. */
async function die(run: Import, death: Death, look: (root: string) => Promise<void>): Promise<boolean> {
  return onCopy(empty, async (root) => {
    const disk = new DyingDisk();
    const driver = new LocalDriver(root, disk);
    const opened = await openRegistry({
      root,
      driver,
      durable: true,
      wrapIndex: (index) => disk.index(index),
    });
    try {
      disk.arm(death);
      const ended = await Promise.race([run(partsOf(opened)).then(() => true), disk.died.then(() => false)]);
      await onCopy(root, look);
      return ended;
    } finally {
      await disk.bury();
      await opened.close();
    }
  });
}

/** What is left is sound, and the import can be done again to its end. */
async function judge(run: Import, root: string): Promise<void> {
  const left = await readLayouts(root);
  assert.deepEqual(left.faults, []);
  for (const [tag, digest] of left.tags.get(repo) ?? [])
    assert.equal(Object.entries(TAGS).find(([name]) => name === tag)?.[1], digest);
  await importAll(run, root);
  const truth = await readLayouts(root);
  assert.deepEqual(truth.faults, []);
  assert.deepEqual(Object.fromEntries(truth.tags.get(repo) ?? []), TAGS);
  const named = [amd.manifest, arm.manifest, multi, signature.manifest].map(({ digest }) => digest);
  assert.deepEqual([...(truth.manifests.get(repo) ?? [])].sort(), named.sort());
}

describe('an import whose process dies', { timeout: timeoutFor(CALLS_MAX / STRIDE, 4000) }, () => {
  for (const [what, run] of Object.entries(imports)) {
    test(`of ${what} leaves what is sound, and is done again`, async (context) => {
      let deaths = 0;
      for (let at = 1, ended = false; !ended; at += STRIDE) {
        assert.ok(at < CALLS_MAX, 'the import makes too many calls');
        // The half of a write, and the next call untouched, in turn.
        ended = await die(run, { at, torn: deaths % 2 === 0 }, (root) => judge(run, root));
        deaths += 1;
      }
      context.diagnostic(`${deaths} deaths`);
      assert.ok(deaths > 10);
    });
  }
});
