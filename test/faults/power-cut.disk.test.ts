/**
 * R4: power cuts of the whole registry on real file systems, worked out from all that their block device was told. At
 * any moment, with the writes that no flush covers lost, torn or kept, what was acknowledged by then is there and
 * nothing is half. With syncs of folders left out the same test must fail.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LocalDriver } from '#storage';
import { nodeFileSystem } from '../../src/storage/drivers/file-system.ts';
import type { FileSystem, OpenFile } from '../../src/storage/drivers/file-system.ts';
import { contentOf, randomImage } from './support/images.ts';
import { serveInProcess } from './support/in-process-server.ts';
import { readLayouts } from './support/layout-truth.ts';
import { pushImage, requireStatus } from './support/pushing.ts';
import type { RegistryClient } from './support/registry-client.ts';
import { RecordedDisk } from './support/recorded-disk/recorded-disk.ts';
import type { FileSystemKind, Unflushed } from './support/recorded-disk/recorded-disk.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';

const MEBIBYTE = 1024 * 1024;
const KINDS: readonly FileSystemKind[] = [
  // Half a superblock (1 KiB) of ext4 fails its checksum: it needs a disk that writes 4 KiB at once, as disks do today.
  { name: 'ext4', sizeBytes: 32 * MEBIBYTE, options: ['-q', '-F', '-J', 'size=4'], sectorBytes: 4096 },
  { name: 'xfs', sizeBytes: 300 * MEBIBYTE, options: ['-q', '-f'], sectorBytes: 512 },
  { name: 'btrfs', sizeBytes: 128 * MEBIBYTE, options: ['-q', '-f'], sectorBytes: 512 },
];
const UNFLUSHED: readonly Unflushed[] = ['lost', 'torn', 'kept'];

/** Images that are pushed while the disk is recorded, and moments that are looked at. */
const IMAGES = Math.min(60, 4 + roundsOr(1));
const MOMENTS = 2 + 2 * roundsOr(1);

const REPO = 'cut/app';

/** Something acknowledged, and how much of the disk's work was done by then. */
interface Promised {
  readonly position: number;
  readonly tag: string;
  readonly digest: string | null;
}

/** A file system that takes syncs of folders for done. */
const forgetfulFolders: FileSystem = {
  ...nodeFileSystem,
  open: async (path, flags, mode) => {
    const file = await nodeFileSystem.open(path, flags, mode);
    if (!(await file.stat({ bigint: true })).isDirectory()) return file;
    return { fd: file.fd, sync: async () => undefined, close: () => file.close() } as OpenFile;
  },
};

/** Pushes, moves and deletes tags on the disk, one after another. */
async function work(disk: RecordedDisk, fileSystem: FileSystem): Promise<readonly Promised[]> {
  const root = join(disk.root, 'data');
  await mkdir(root);
  const server = await serveInProcess({ root, driver: new LocalDriver(root, fileSystem) });
  const random = new SeededRandom(seed);
  const promised: Promised[] = [];
  const note = (tag: string, digest: string | null): void =>
    void promised.push({ position: disk.position(), tag, digest });
  try {
    for (let at = 0; at < IMAGES; at += 1) {
      const image = randomImage(random, { layers: 2, layerBytesMax: 40_000 });
      await pushImage(server.client, REPO, image, `t${at}`);
      note(`t${at}`, image.manifest.digest);
      await pushImage(server.client, REPO, image, 'moving');
      note('moving', image.manifest.digest);
      if (at % 3 !== 2) continue;
      requireStatus(await server.client.send('DELETE', `/v2/${REPO}/manifests/t${at - 1}`), [202]);
      note(`t${at - 1}`, null);
    }
    return promised;
  } finally {
    await server.close();
  }
}

/** What is wrong with a state: what was promised by then and does not hold, and what is half. */
async function faultsOf(root: string, promised: readonly Promised[], position: number): Promise<string[]> {
  const { faults } = await readLayouts(root);
  const server = await serveInProcess({ root });
  try {
    const wrong = await brokenPromises(server.client, promised, position);
    return [...faults, ...wrong];
  } finally {
    await server.close();
  }
}

async function brokenPromises(
  client: RegistryClient,
  promised: readonly Promised[],
  position: number,
): Promise<string[]> {
  const found: string[] = [];
  for (const tag of new Set(promised.map((one) => one.tag))) {
    const ofTag = promised.filter((one) => one.tag === tag);
    const last = ofTag.findLastIndex((one) => one.position <= position);
    // The operation after the last acknowledged one may have been done, too.
    const allowed = [last === -1 ? null : ofTag[last]?.digest, ofTag[last + 1]?.digest];
    const answer = await client.send('GET', `/v2/${REPO}/manifests/${tag}`);
    const digest = answer.status === 404 ? null : contentOf(answer.body).digest;
    if (!allowed.includes(digest)) found.push(`${tag} lost: it is ${digest}, not ${allowed[0]}`);
    else if (digest !== null) found.push(...(await missingBlobs(client, answer.body)));
  }
  return found;
}

async function missingBlobs(client: RegistryClient, manifest: Buffer): Promise<string[]> {
  const { layers } = JSON.parse(manifest.toString()) as {
    readonly layers: readonly { readonly digest: string }[];
  };
  const found: string[] = [];
  for (const { digest } of layers) {
    const { status, body } = await client.send('GET', `/v2/${REPO}/blobs/${digest}`);
    if (status !== 200 || contentOf(body).digest !== digest) found.push(`${digest} lost: ${status}`);
  }
  return found;
}

/** Moments at which something had just been acknowledged, and others, in their order. */
function momentsOf(
  disk: RecordedDisk,
  promised: readonly Promised[],
  random: SeededRandom,
): readonly number[] {
  const begun = promised[0]?.position ?? 0;
  const others = disk.positions.filter((position) => position > begun);
  const pick = (from: readonly number[]): number => from[random.below(from.length)] ?? begun;
  const chosen = Array.from({ length: MOMENTS }, (_, at) =>
    at % 2 === 0 ? pick(promised.map(({ position }) => position)) : pick(others),
  );
  return chosen.toSorted((a, b) => a - b);
}

/** Chosen moments with all that may be left of each, or the moment after each answer without what was not flushed. */
type Looks = 'chosen' | 'answers';

async function play(
  disk: RecordedDisk,
  fileSystem: FileSystem,
  looks: Looks,
): Promise<{ states: number; faults: string[] }> {
  const promised = await work(disk, fileSystem);
  await disk.detach();
  const random = new SeededRandom(seed + 1);
  const moments =
    looks === 'chosen' ? momentsOf(disk, promised, random) : promised.map(({ position }) => position);
  const faults: string[] = [];
  let states = 0;
  for (const position of moments) {
    for (const unflushed of looks === 'chosen' ? UNFLUSHED : (['lost'] as const)) {
      const look = (root: string): Promise<string[]> => faultsOf(join(root, 'data'), promised, position);
      const found = await disk.afterPowerCut({ position, unflushed, random }, look);
      states += 1;
      faults.push(...found.map((fault) => `${fault} (at ${position}, unflushed ${unflushed})`));
    }
    if (faults.length > 0) break;
  }
  return { states, faults };
}

describe('a power cut on a recorded block device', { timeout: timeoutFor(MOMENTS * 6, 20_000) }, () => {
  for (const kind of KINDS) {
    test(`leaves all that was acknowledged, and nothing half: ${kind.name}`, async (context) => {
      const disk = await RecordedDisk.mount(kind);
      if (typeof disk === 'string') return context.skip(disk);
      try {
        const { states, faults } = await play(disk, nodeFileSystem, 'chosen');
        assert.deepEqual(faults, []);
        context.diagnostic(`${states} states`);
      } finally {
        await disk.remove();
      }
    });

    test(`would be found wanting if folders were not synced: ${kind.name}`, async (context) => {
      const disk = await RecordedDisk.mount(kind);
      if (typeof disk === 'string') return context.skip(disk);
      try {
        const { faults } = await play(disk, forgetfulFolders, 'answers');
        assert.match(faults.join(), /lost|not there/);
      } finally {
        await disk.remove();
      }
    });
  }
});
