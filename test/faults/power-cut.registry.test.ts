/**
 * R3 and R4 for the whole registry: a power cut at every moment of its work, with what was not synced lost, torn or
 * out of order. The registry that is started on what is left, with a new index or with the one that was there, has
 * everything that was acknowledged and nothing half. With syncs of folders left out the same test must fail.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseDigest } from '#oci/digest';
import { readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import type { BodySource, Registry } from '#registry';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { writeState } from './support/crash-states.ts';
import type { CrashState } from './support/crash-states.ts';
import { contentOf, imageOf, indexOf } from './support/images.ts';
import type { Content, Image, Manifest } from './support/images.ts';
import { readLayouts } from './support/layout-truth.ts';
import { openRegistry } from './support/opened-registry.ts';
import { PowerCutDisk } from './support/power-cut-disk.ts';
import type { PowerCutOptions } from './support/power-cut-disk.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';

const ROUNDS = roundsOr(1);
/** States that are looked at in one history; all that are possible would be thousands. */
const STATES_MAX = 90;
const STATES_PER_MOMENT = 12;

/** What was acknowledged: a text that says what is missing, or null. */
type Promised = (registry: Registry) => Promise<string | null>;
type Disk = PowerCutDisk<Promised>;

function bodyOf(bytes: Buffer): BodySource {
  async function* pieces(): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, bytes.length >> 1);
    yield bytes.subarray(bytes.length >> 1);
  }
  return Object.assign(pieces(), { stop: () => undefined });
}

/** A client that promises itself what it was told. */
class PromisingClient {
  #registry: Registry;
  #disk: Disk;
  #repo: RepoName;

  constructor(registry: Registry, disk: Disk, repo: string) {
    this.#registry = registry;
    this.#disk = disk;
    this.#repo = parseRepoName(repo);
  }

  async pushBlob(blob: Content): Promise<void> {
    const digest = parseDigest(blob.digest);
    await this.#registry.uploads.pushWhole(this.#repo, digest, { source: bodyOf(blob.bytes) });
    this.#promise(`blob ${digest}`, (registry) => readBlob(registry, this.#repo, blob));
  }

  async pushBlobInPieces(blob: Content): Promise<void> {
    const upload = { repo: this.#repo, id: await this.#registry.uploads.start(this.#repo) };
    await this.#registry.uploads.append(upload, { source: bodyOf(blob.bytes) });
    await this.#registry.uploads.finish(upload, parseDigest(blob.digest), null);
    this.#promise(`blob ${blob.digest}`, (registry) => readBlob(registry, this.#repo, blob));
  }

  async mount(blob: Content, from: string): Promise<void> {
    const digest = parseDigest(blob.digest);
    assert.ok(await this.#registry.mountBlob(this.#repo, digest, parseRepoName(from), () => true));
    this.#promise(`mounted ${digest}`, (registry) => readBlob(registry, this.#repo, blob));
  }

  /** `successors`: what may stand under the tag later. */
  async push(manifest: Manifest, tag: string, successors: readonly (Manifest | null)[] = []): Promise<void> {
    const { mediaType, bytes } = manifest;
    const reference = readReference(tag);
    await this.#registry.pushManifest({ repo: this.#repo, reference, mediaType, bytes, tags: [] });
    this.#promiseTag(tag, [manifest, ...successors]);
  }

  async pushImage(image: Image, tag: string, successors: readonly (Manifest | null)[] = []): Promise<void> {
    for (const [at, blob] of image.blobs.entries()) {
      await (at % 2 === 0 ? this.pushBlob(blob) : this.pushBlobInPieces(blob));
    }
    await this.push(image.manifest, tag, successors);
  }

  async deleteTag(tag: string): Promise<void> {
    await this.#registry.deleteManifest(this.#repo, readReference(tag));
    this.#promiseTag(tag, [null]);
  }

  async deleteManifest(manifest: Manifest): Promise<void> {
    const reference = readReference(manifest.digest);
    await this.#registry.deleteManifest(this.#repo, reference);
    this.#promise(`removal of ${manifest.digest}`, async (registry) => {
      const found = await orNull(registry.pullManifest(this.#repo, reference));
      return found === null ? 'held' : 'it is there again';
    });
  }

  #promiseTag(tag: string, allowed: readonly (Manifest | null)[]): void {
    const digests = allowed.map((manifest) => manifest?.digest ?? null);
    this.#promise(`tag ${tag}`, async (registry) => {
      const found = await orNull(registry.pullManifest(this.#repo, readReference(tag)));
      return digests.includes(found?.digest ?? null) ? 'held' : `it names ${found?.digest ?? 'nothing'}`;
    });
  }

  #promise(what: string, holds: (registry: Registry) => Promise<string>): void {
    this.#disk.acknowledge(async (registry) => {
      const found = await holds(registry);
      return found === 'held' ? null : `${this.#repo} lost ${what}: ${found}`;
    });
  }
}

async function readBlob(registry: Registry, repo: RepoName, blob: Content): Promise<string> {
  const opened = await orNull(registry.openBlob(repo, parseDigest(blob.digest)));
  if (opened === null) return 'absent';
  try {
    const bytes = Buffer.alloc(blob.bytes.length);
    await opened.reader.read(bytes, 0);
    return bytes.equals(blob.bytes) && opened.sizeBytes === bytes.length ? 'held' : 'other bytes';
  } finally {
    await opened.reader.close();
  }
}

async function orNull<Result>(asked: Promise<Result>): Promise<Result | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return null;
    throw error;
  }
}

const layer = (name: string): Content => contentOf(Buffer.from(`layer ${name} `.repeat(700)));
const one = imageOf([layer('base')], 'one');
const two = imageOf([layer('base'), layer('top')], 'two');
const both = indexOf([one.manifest, two.manifest]);

interface History {
  readonly title: string;
  readonly run: (registry: Registry, disk: Disk) => Promise<void>;
}

const histories: readonly History[] = [
  {
    title: 'images, an index, a tag that moves',
    run: async (registry, disk) => {
      const client = new PromisingClient(registry, disk, 'library/app');
      await client.pushImage(one, 'latest', [two.manifest]);
      await client.pushImage(two, 'latest');
      await client.push(both, 'all');
    },
  },
  {
    title: 'deletes, and a push of what was deleted',
    run: async (registry, disk) => {
      const client = new PromisingClient(registry, disk, 'team');
      await client.pushImage(one, 'kept');
      await client.pushImage(two, 'gone', [null]);
      await client.deleteTag('gone');
      await client.deleteManifest(two.manifest);
    },
  },
  {
    title: 'mounts into a repository that is new',
    run: async (registry, disk) => {
      const base = new PromisingClient(registry, disk, 'base');
      await base.pushImage(one, 'v1');
      const nested = new PromisingClient(registry, disk, 'base/nested');
      for (const blob of one.blobs) await nested.mount(blob, 'base');
      await nested.push(one.manifest, 'v1');
    },
  },
  {
    title: 'clients at the same time, in one repository and in several',
    run: async (registry, disk) => {
      const shared = ['a', 'a', 'a/b', 'c'].map((repo) => new PromisingClient(registry, disk, repo));
      await Promise.all(
        shared.map((client, at) =>
          client.pushImage(imageOf([layer(`own ${at}`)], `client ${at}`), `tag${at}`),
        ),
      );
    },
  },
];

interface Judged {
  readonly states: number;
  readonly faults: readonly string[];
}

/** Plays a history on a disk, and starts a registry on states that the disk may be left in. */
async function play(history: History, options: PowerCutOptions): Promise<Judged> {
  const disk: Disk = await PowerCutDisk.create<Promised>(options);
  const databases = await mkdtemp(join(tmpdir(), 'zot-power-cut-databases-'));
  try {
    const driver = new LocalDriver(disk.root, disk);
    const opened = await openRegistry({ root: databases, driver, durable: true });
    await history.run(opened.registry, disk);
    await opened.close();
    const states = [...disk.crashStates({ seed: options.seed, statesPerMomentMax: STATES_PER_MOMENT })];
    const random = new SeededRandom(options.seed);
    const chosen = sample(states, STATES_MAX * ROUNDS, random);
    const faults: string[] = [];
    for (const [at, state] of chosen.entries()) {
      const withIndex = at % 3 === 0 ? databases : null;
      faults.push(...(await faultsOf(state, withIndex)));
      if (faults.length > 0) break;
    }
    return { states: chosen.length, faults };
  } finally {
    await disk.remove();
    await rm(databases, { recursive: true, force: true });
  }
}

/** Some of the states, those after the last acknowledgement among them. */
function sample<State>(states: readonly State[], most: number, random: SeededRandom): State[] {
  if (states.length <= most) return [...states];
  const late = states.slice(-Math.ceil(most / 4));
  const early = Array.from({ length: most - late.length }, () => states[random.below(states.length)]);
  return [...early.filter((state) => state !== undefined), ...late];
}

/**
 * Starts a registry on a state. `databases`: with the index of the end of the history, which may be ahead of what the
 * disk kept, or another than the disk's, since index.db is not synced.
 */
async function faultsOf(state: CrashState<Promised>, databases: string | null): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'zot-power-cut-state-'));
  try {
    await mkdir(root, { recursive: true });
    await writeState(state, root);
    if (databases !== null)
      await cp(join(databases, OWN_FOLDER), join(root, OWN_FOLDER), { recursive: true });
    const opened = await openRegistry({ root, driver: new LocalDriver(root), durable: true });
    try {
      const broken = await brokenPromises(state.promised, opened.registry);
      broken.push(...(await readLayouts(root)).faults);
      return broken.map(
        (fault) => `${fault} (${state.description}; index ${databases === null ? 'new' : 'kept'})`,
      );
    } finally {
      await opened.close();
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function brokenPromises(promised: readonly Promised[], registry: Registry): Promise<string[]> {
  const broken: string[] = [];
  for (const holds of promised) {
    const lost = await holds(registry).catch((error: unknown) => String(error));
    if (lost !== null) broken.push(lost);
  }
  return broken;
}

describe('the registry after a power cut', { timeout: timeoutFor(ROUNDS * histories.length, 60_000) }, () => {
  for (const [at, history] of histories.entries()) {
    test(`has all that was acknowledged, and nothing half: ${history.title}`, async (context) => {
      const { states, faults } = await play(history, { seed: seed * 10 + at });
      assert.deepEqual(faults, []);
      assert.ok(states > 50, `only ${states} states`);
      context.diagnostic(`${states} states`);
    });
  }

  test('would be found wanting if folders were not synced', async () => {
    const [history] = histories;
    assert.ok(history);
    const { faults } = await play(history, { seed, ignoreFolderSync: true });
    assert.match(faults.join(), /lost|not there/);
  });

  test('would be found wanting if files were not synced', async () => {
    const [history] = histories;
    assert.ok(history);
    const { faults } = await play(history, { seed, ignoreFileSync: true });
    assert.match(faults.join(), /lost|not there|other bytes|another size/);
  });
});
