/**
 * A power cut at every moment of the store's work: what was acknowledged is there, index.json is whole, and no blob
 * holds other bytes than its name says. The same history on a disk that does not sync folders, or files, must be
 * found wanting: that shows that the test would notice.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { OCI_MANIFEST } from '#oci/media-types';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { FRESH_HEAD, LocalDriver, RepositoryStore, descriptorJson, parseIndexFile } from '#storage';
import type { Fingerprint, StorageDriver } from '#storage';
import { memoryOf } from './support/crash-states.ts';
import type { CrashState } from './support/crash-states.ts';
import { PowerCutDisk } from './support/power-cut-disk.ts';
import type { PowerCutOptions } from './support/power-cut-disk.ts';

/** Something acknowledged: says what is wrong with a state in which it does not hold. */
type Promised = (open: (repo: RepoName) => RepositoryStore) => Promise<string | null>;
type Disk = PowerCutDisk<Promised>;

const STATES_PER_MOMENT = 60;
const SIZE_MAX = 1_000_000;

/** One repository of a history: pushes images and remembers which versions of index.json it wrote. */
class Pusher {
  readonly name: RepoName;
  readonly versions: string[] = [];
  readonly store: RepositoryStore;
  #disk: Disk;
  #entries: string[] = [];
  #expected: Fingerprint | null = null;

  constructor(disk: Disk, driver: StorageDriver, name: string) {
    this.name = parseRepoName(name);
    this.#disk = disk;
    this.store = new RepositoryStore(this.name, driver, true);
  }

  /** In two pieces that are written apart, so that they can be lost apart. */
  async upload(content: string, firstBytes = 5000): Promise<Digest> {
    const { id, writer } = await this.store.startUploadWriter('sha256');
    const bytes = Buffer.from(content);
    for (const part of [bytes.subarray(0, firstBytes), bytes.subarray(firstBytes)]) {
      await writer.append(part);
      await writer.flush();
    }
    const digest = writer.digest();
    await writer.sync();
    await writer.close();
    assert.ok(digest);
    await this.store.finishUpload(id, digest);
    this.#disk.acknowledge(blobThere(this.name, digest));
    return digest;
  }

  async mount(from: Pusher, digest: Digest): Promise<void> {
    await this.store.mountBlob(from.store, digest);
    this.#disk.acknowledge(blobThere(this.name, digest));
  }

  async pushManifest(layer: Digest): Promise<Digest> {
    const bytes = Buffer.from(JSON.stringify({ repository: this.name, layer, padding: 'p'.repeat(3000) }));
    const digest = digestOf(bytes);
    await this.store.putManifest(digest, bytes);
    this.#disk.acknowledge(blobThere(this.name, digest));
    this.#entries.push(descriptorJson({ mediaType: OCI_MANIFEST, digest, sizeBytes: bytes.length }, null));
    return digest;
  }

  async replaceIndex(): Promise<void> {
    const text = `${FRESH_HEAD},"manifests":[${this.#entries.join(',')}]}`;
    const version = this.versions.push(text);
    const stat = await this.store.replaceIndex([Buffer.from(text)], this.#expected);
    this.#expected = stat.fingerprint;
    this.#disk.acknowledge(async (open) => {
      const found = (await open(this.name).readIndex())?.bytes.toString() ?? '';
      return this.versions.indexOf(found) >= version - 1
        ? null
        : `index.json of ${this.name} fell behind ${version}`;
    });
  }

  /** A blob of which nothing is promised until its removal is. */
  async uploadAndDelete(content: string): Promise<void> {
    const bytes = Buffer.from(content);
    const { id, writer } = await this.store.startUploadWriter('sha256');
    await writer.append(bytes);
    await writer.flush();
    await writer.sync();
    await writer.close();
    await this.store.finishUpload(id, digestOf(bytes));
    await this.store.deleteBlob(digestOf(bytes));
    this.#disk.acknowledge(async (open) => {
      const found = await open(this.name).statBlob(digestOf(bytes));
      return found === null ? null : `${this.name} lost the removal of ${digestOf(bytes)}`;
    });
  }

  async pushImage(content: string): Promise<void> {
    await this.pushManifest(await this.upload(content));
    await this.replaceIndex();
  }
}

function blobThere(repo: RepoName, digest: Digest): Promised {
  return async (open) => {
    const store = open(repo);
    return (await store.statBlob(digest)) === null ? `${repo} lost ${digest}` : wrongBytes(store, digest);
  };
}

async function wrongBytes(store: RepositoryStore, digest: Digest): Promise<string | null> {
  const bytes = await store.readManifest(digest, SIZE_MAX).catch((error: unknown) => String(error));
  return typeof bytes === 'string' ? `${store.name}: ${bytes}` : null;
}

/** What must hold in every state, whatever was acknowledged. */
async function faultsOf(state: CrashState<Promised>, pushers: readonly Pusher[]): Promise<string[]> {
  const driver = await memoryOf(state);
  const open = (repo: RepoName): RepositoryStore => new RepositoryStore(repo, driver, true);
  const found = await Promise.all([
    ...state.promised.map((promised) => promised(open)),
    ...pushers.map((pusher) => layoutFault(open(pusher.name), pusher, state)),
  ]);
  return found.filter((fault) => fault !== null).map((fault) => `${fault} (${state.description})`);
}

async function layoutFault(
  store: RepositoryStore,
  pusher: Pusher,
  state: CrashState<Promised>,
): Promise<string | null> {
  for await (const digest of store.listBlobs()) {
    const wrong = await wrongBytes(store, digest);
    if (wrong !== null) return wrong;
  }
  const index = await store.readIndex();
  if (index === null) return null;
  if (!pusher.versions.includes(index.bytes.toString()))
    return `index.json of ${store.name} is no version written`;
  if (state.files.get(`${store.name}/oci-layout`)?.toString() !== '{"imageLayoutVersion":"1.0.0"}') {
    return `${store.name} has an index.json and no oci-layout`;
  }
  const parsed = parseIndexFile(index.bytes);
  if (typeof parsed === 'string') return parsed;
  for (const { descriptor } of parsed.entries) {
    const bytes = await store.readManifest(descriptor.digest, SIZE_MAX);
    if (bytes === null) return `index.json of ${store.name} names ${descriptor.digest}, which is not there`;
    const { layer } = JSON.parse(bytes.toString()) as { layer: string };
    if (!isDigest(layer) || (await store.statBlob(layer)) === null)
      return `${store.name} lost the layer ${layer}`;
  }
  return null;
}

interface History {
  readonly title: string;
  readonly run: (disk: Disk) => Promise<Pusher[]>;
}

const content = (seed: string): string => `${seed} `.repeat(1500);

const histories: readonly History[] = [
  {
    title: 'images pushed into one repository, one after another, and a blob deleted',
    run: async (disk) => {
      const pusher = new Pusher(disk, new LocalDriver(disk.root, disk), 'library/debian');
      for (const seed of ['one', 'two']) await pusher.pushImage(content(seed));
      await pusher.uploadAndDelete(content('three'));
      return [pusher];
    },
  },
  {
    title: 'an upload that began long before it is finished, and through another process',
    run: async (disk) => {
      const before = new Pusher(disk, new LocalDriver(disk.root, disk), 'a/b/c');
      const id = await before.store.startUpload();
      const after = new Pusher(disk, new LocalDriver(disk.root, disk), 'a/b/c');
      const file = await after.store.openUpload(id);
      assert.ok(file);
      const bytes = Buffer.from(content('late'));
      await file.write(bytes);
      await file.sync();
      await file.close();
      await after.store.finishUpload(id, digestOf(bytes));
      disk.acknowledge(blobThere(after.name, digestOf(bytes)));
      return [after];
    },
  },
  {
    title: 'a blob that is written past the page cache but for its beginning and its end',
    run: async (disk) => {
      const pusher = new Pusher(disk, new LocalDriver(disk.root, disk), 'large');
      const layer = await pusher.upload('large '.repeat(50_000), 8192);
      await pusher.pushManifest(layer);
      await pusher.replaceIndex();
      return [pusher];
    },
  },
  {
    title: 'a blob mounted into a nested repository',
    run: async (disk) => {
      const driver = new LocalDriver(disk.root, disk);
      const [base, nested] = [new Pusher(disk, driver, 'team'), new Pusher(disk, driver, 'team/app')];
      const layer = await base.upload(content('base'));
      await nested.mount(base, layer);
      await nested.pushManifest(layer);
      await nested.replaceIndex();
      return [base, nested];
    },
  },
  {
    title: 'a blob mounted, and a manifest pushed again, that an earlier process wrote without syncing',
    run: async (disk) => {
      const hasty = new RepositoryStore(parseRepoName('old'), new LocalDriver(disk.root, disk), false);
      const bytes = Buffer.from(
        JSON.stringify({ repository: 'old', layer: digestOf(Buffer.from('layer')), padding: '' }),
      );
      await hasty.putManifest(digestOf(bytes), bytes);
      const driver = new LocalDriver(disk.root, disk);
      const [old, fresh] = [new Pusher(disk, driver, 'old'), new Pusher(disk, driver, 'fresh')];
      await fresh.mount(old, digestOf(bytes));
      await old.store.putManifest(digestOf(bytes), bytes);
      disk.acknowledge(blobThere(old.name, digestOf(bytes)));
      return [fresh];
    },
  },
  {
    title: 'clients that push at once, into repositories that share folders',
    run: async (disk) => {
      const driver = new LocalDriver(disk.root, disk);
      const pushers = ['team/a', 'team/b', 'team'].map((name) => new Pusher(disk, driver, name));
      await Promise.all(
        pushers.map(async (pusher) => {
          const layers = await Promise.all(
            ['x', 'y', 'z'].map((seed) => pusher.upload(content(seed + pusher.name))),
          );
          await Promise.all(layers.map((layer) => pusher.pushManifest(layer)));
          await pusher.replaceIndex();
        }),
      );
      return pushers;
    },
  },
];

/** Runs a history on a disk and gives what is wrong with the states it can leave, and their number. */
async function play(
  history: History,
  options: PowerCutOptions,
): Promise<{ states: number; faults: string[] }> {
  const disk = await PowerCutDisk.create<Promised>(options);
  try {
    const pushers = await history.run(disk);
    const faults: string[] = [];
    let states = 0;
    for (const state of disk.crashStates({ seed: options.seed, statesPerMomentMax: STATES_PER_MOMENT })) {
      states += 1;
      faults.push(...(await faultsOf(state, pushers)));
      if (faults.length > 0) break;
    }
    return { states, faults };
  } finally {
    await disk.remove();
  }
}

describe('after a power cut at any moment', { timeout: 120_000 }, () => {
  for (const [seed, history] of histories.entries()) {
    test(`nothing acknowledged is lost: ${history.title}`, async (context) => {
      const { states, faults } = await play(history, { seed });
      assert.deepEqual(faults, []);
      assert.ok(states > 100, `only ${states} states`);
      context.diagnostic(`${states} states`);
    });

    test(`it would be noticed if folders were not synced: ${history.title}`, async () => {
      const { faults } = await play(history, { seed, ignoreFolderSync: true });
      assert.match(faults.join(), /lost|fell behind|not there/);
    });

    test(`it would be noticed if files were not synced: ${history.title}`, async () => {
      const { faults } = await play(history, { seed, ignoreFileSync: true });
      assert.match(faults.join(), /corrupt|no version written|lost/);
    });
  }
});
