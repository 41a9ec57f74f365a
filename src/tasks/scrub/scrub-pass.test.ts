import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { pino } from 'pino';
import { digestHex, digestOf } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { OCI_CONFIG } from '#oci/media-types';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { LocalDriver } from '#storage';
import { rot } from '../../../test/support/rot.ts';
import { childOf, pushOf } from '../../../test/support/opened-keeper.ts';
import { openRegistry } from '../../../test/faults/support/opened-registry.ts';
import type { OpenedRegistry } from '../../../test/faults/support/opened-registry.ts';
import { Scheduler } from '../scheduler.ts';
import { systemTime } from '../time.ts';
import type { Time } from '../time.ts';
import { ReadRate } from './read-rate.ts';
import { scrubJob } from './scrub-job.ts';
import { ScrubPass } from './scrub-pass.ts';
import type { ImageVerdict, ScrubParts } from './scrub-parts.ts';
import { freshState, readScrubState } from './scrub-state.ts';
import type { ScrubState } from './scrub-state.ts';

const SILENT = pino({ level: 'silent' });
const A = parseRepoName('a');
const AB = parseRepoName('a/b');
const CDE = parseRepoName('c/d/e');
const F = parseRepoName('f');
const repos: readonly RepoName[] = [A, AB, parseRepoName('a-b'), CDE, F];
const LAYER = Buffer.from('a layer that all share '.repeat(2000));
const CONFIG = Buffer.from('{"os":"linux"}');

let root = '';
let opened: OpenedRegistry;
let images: ImageVerdict[] = [];

async function openIt(dedupe = true): Promise<void> {
  opened = await openRegistry({ root, driver: new LocalDriver(root), durable: false, dedupe });
}
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'zot-scrub-'));
  images = [];
  await openIt();
});
afterEach(async () => {
  await opened.close();
  await rm(root, { recursive: true });
});

async function pushBlob(repo: RepoName, bytes: Buffer, digest = digestOf(bytes)): Promise<void> {
  async function* body(): AsyncGenerator<Buffer> {
    // A copy: whoever takes a piece of a body gives its memory back.
    yield Buffer.from(bytes);
  }
  const source = Object.assign(body(), { stop: () => undefined });
  await opened.registry.uploads.pushWhole(repo, digest, { source });
}

const imageOf = (repo: RepoName, tags: readonly string[]) => {
  const of = (bytes: Buffer, mediaType: string) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const layers = [of(LAYER, 'application/vnd.oci.image.layer.v1.tar')];
  return pushOf(repo, { config: of(CONFIG, OCI_CONFIG), layers, annotations: { repo } }, tags);
};

/** Pushes one image with a tag and an index of it with another. */
async function pushImage(repo: RepoName) {
  await pushBlob(repo, LAYER);
  await pushBlob(repo, CONFIG);
  const image = imageOf(repo, ['v1']);
  await opened.keeper.pushManifest(image);
  const index = pushOf(repo, { manifests: [childOf(image)] }, ['all']);
  await opened.keeper.pushManifest(index);
  return { image: image.digest, index: index.digest };
}

/** As a client does, which is refused when the damage of what it relies on is found meanwhile, and pushes again. */
async function pushUnlessFound(repo: RepoName): Promise<void> {
  try {
    await pushImage(repo);
  } catch (error) {
    if (!(error instanceof RegistryError && error.code === 'MANIFEST_BLOB_UNKNOWN')) throw error;
  }
}

const fileOf = (repo: RepoName, digest: Digest): string =>
  join(root, repo, 'blobs', digest.slice(0, digest.indexOf(':')), digestHex(digest));

function partsOf(more: Partial<ScrubParts> = {}): ScrubParts {
  const { storage, index, keeper } = opened;
  const [store] = storage.stores;
  assert.ok(store);
  const rate = new ReadRate(0, systemTime);
  const onImage = (image: ImageVerdict): void => void images.push(image);
  const ready = Promise.resolve();
  return { storage, index, keeper, logger: SILENT, store, time: systemTime, ready, rate, onImage, ...more };
}

const context = (signal = new AbortController().signal) => ({ signal, pause: async () => undefined });
const nothing = async (): Promise<void> => undefined;

async function scrub(more: Partial<ScrubParts> = {}): Promise<ScrubPass> {
  const pass = new ScrubPass(partsOf(more), freshState(1));
  await pass.run(context(), Infinity, nothing);
  assert.ok(pass.isOver);
  return pass;
}

const shown = (): string[] =>
  images.map(({ repository, tag, status, affected }) =>
    [repository, tag, status, ...affected.map(({ error }) => error)].join(' '),
  );

describe('a scrub', { timeout: 60_000 }, () => {
  test('finds everything sound, reads what is shared once, and judges each entry', async () => {
    for (const repo of repos) await pushImage(repo);
    const { counts } = await scrub();
    assert.equal(counts.repositories, repos.length);
    assert.equal(counts.contents, 4 * repos.length);
    assert.deepEqual([counts.damaged, counts.failed, counts.affected, counts.images], [0, 0, 0, 10]);
    assert.ok(counts.bytesRead < 2 * LAYER.length, `${counts.bytesRead} bytes were read`);
    assert.deepEqual(new Set(images.map(({ status }) => status)), new Set(['ok']));
  });

  test('finds damage of every kind, in every name, and says which images it is in', async () => {
    const pushed = new Map<RepoName, Awaited<ReturnType<typeof pushImage>>>();
    for (const repo of repos) pushed.set(repo, await pushImage(repo));
    const [ofAb, ofCde] = [pushed.get(AB), pushed.get(CDE)];
    assert.ok(ofAb && ofCde);
    await rot(fileOf(A, digestOf(LAYER)));
    await truncate(fileOf(AB, ofAb.image), 5);
    await rot(fileOf(CDE, ofCde.index));
    await rm(fileOf(F, digestOf(CONFIG)));
    await opened.index.removeBlobs(F, [digestOf(CONFIG)]);
    const { counts } = await scrub();
    // The missing config is mended by the others.
    assert.equal(counts.mended, 1);
    assert.equal(counts.damaged, repos.length + 3);
    const kinds = (await opened.index.listDamage({ after: null, limit: 100 })).map(
      ({ repo, kind }) => `${repo} ${kind}`,
    );
    assert.deepEqual(kinds.toSorted(), [
      'a wrong-digest',
      'a-b wrong-digest',
      'a/b wrong-digest',
      'a/b wrong-size',
      'c/d/e wrong-digest',
      'c/d/e wrong-digest',
      'f wrong-digest',
    ]);
    assert.equal(counts.affected, 10);
    assert.deepEqual(
      shown()
        .filter((row) => row.startsWith('a/b ') || row.startsWith('c/d/e '))
        .toSorted(),
      [
        'a/b all affected bad blob digest bad blob digest',
        'a/b v1 affected bad blob digest bad blob digest',
        'c/d/e all affected bad blob digest bad blob digest',
        'c/d/e v1 affected bad blob digest',
      ],
    );
    const again = await scrub();
    assert.deepEqual([again.counts.damaged, again.counts.mended], [repos.length + 2, 0]);
  });

  test('looks at files that no manifest names, and forgets damage of what is gone', async () => {
    const repo = A;
    await pushImage(repo);
    const stray = digestOf(Buffer.from('nobody knows this'), 'sha512');
    await pushBlob(repo, Buffer.from('nobody knows this'), stray);
    await opened.index.removeBlobs(repo, [stray]);
    await rot(fileOf(repo, stray));
    assert.equal((await scrub()).counts.damaged, 1);
    await rm(join(root, repo), { recursive: true });
    await scrub();
    assert.deepEqual(await opened.index.listDamage({ after: null, limit: 10 }), []);
  });

  test('says of a file that is no manifest, and of an index.json that is none', async () => {
    const [repo, other] = [A, AB];
    await pushImage(repo);
    await pushImage(other);
    const text = Buffer.from('{"schemaVersion":2,"layers":7}');
    await pushBlob(repo, text);
    const file = join(root, repo, 'index.json');
    const layout = JSON.parse(await readFile(file, 'utf8')) as { manifests: unknown[] };
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    layout.manifests.push({ mediaType, digest: digestOf(text), size: text.length });
    await writeFile(file, JSON.stringify(layout));
    await writeFile(join(root, other, 'index.json'), 'broken');
    const { counts } = await scrub();
    assert.deepEqual([counts.damaged, counts.affected], [0, 2]);
    assert.ok(shown().includes(`${repo}  affected invalid manifest content`), shown().join('\n'));
    assert.ok(shown().some((row) => row.startsWith(`${other}  affected index.json cannot be used`)));
  });

  test('goes on where it was stopped, wherever that was, and reads nothing twice', async () => {
    await opened.close();
    await openIt(false);
    for (const repo of repos) await pushImage(repo);
    const whole = (await scrub()).counts;
    let state: ScrubState = freshState(1);
    images = [];
    let runs = 0;
    for (let isOver = false; !isOver; runs += 1) {
      const stopping = new AbortController();
      const pass = new ScrubPass(partsOf(), state);
      let steps = 0;
      await pass.run(context(stopping.signal), Infinity, async () => {
        steps += 1;
        if (steps === 3) stopping.abort();
      });
      state = JSON.parse(JSON.stringify(pass.state)) as ScrubState;
      isOver = pass.isOver;
      assert.ok(runs < 50);
    }
    assert.ok(runs >= 5, `${runs} runs`);
    assert.deepEqual(state.counts, whole);
  });

  test('reads no faster than it may', async () => {
    await opened.close();
    await openIt(false);
    for (const repo of repos) await pushImage(repo);
    let elapsedMs = 0;
    const time: Time = {
      nowMs: () => elapsedMs,
      elapsedMs: () => elapsedMs,
      after: (delayMs, work) => {
        elapsedMs += delayMs;
        const timer = setImmediate(work);
        return () => clearImmediate(timer);
      },
    };
    const bytesPerSecond = 10_000;
    const { counts } = await scrub({ time, rate: new ReadRate(bytesPerSecond, time) });
    const atLeastMs = (counts.bytesRead / bytesPerSecond) * 1000;
    assert.ok(elapsedMs >= atLeastMs - 1, `${elapsedMs} ms instead of ${atLeastMs}`);
    assert.ok(elapsedMs < atLeastMs * 1.1);
  });

  test('crosses pushes and deletes of what it looks at', async () => {
    for (const repo of repos) await pushImage(repo);
    await rot(fileOf(A, digestOf(LAYER)));
    let stop = false;
    const traffic = (async () => {
      while (!stop) for (const repo of repos.slice(1)) await pushUnlessFound(repo);
    })();
    for (let round = 0; round < 5; round += 1) await scrub();
    stop = true;
    await traffic;
    await pushImage(A);
    const { counts } = await scrub();
    assert.deepEqual([counts.failed, counts.affected], [0, 0]);
    for (const repo of repos) assert.deepEqual(await readFile(fileOf(repo, digestOf(LAYER))), LAYER);
  });
});

describe('the job of a scrub', { timeout: 60_000 }, () => {
  const DAY_MS = 86_400_000;

  async function runJob(nowMs: () => number) {
    const time: Time = { ...systemTime, nowMs };
    const scheduler = new Scheduler({ workers: 2, logger: SILENT });
    try {
      const job = scrubJob(partsOf({ time }), DAY_MS);
      scheduler.add(job);
      const result = await scheduler.run(job.name);
      return { result, next: scheduler.status()[0]?.nextRoundMs ?? null };
    } finally {
      await scheduler.close();
    }
  }

  test('notes how far it is and when it ended, and waits for its interval over restarts', async () => {
    await pushImage(A);
    const first = await runJob(() => 1000);
    assert.match(first.result.summary, /^4 contents of 1 repositories, \d+ bytes read, 0 damaged/);
    const [store] = opened.storage.stores;
    assert.ok(store);
    assert.equal((await readScrubState(store))?.finishedMs, 1000);
    images = [];
    const second = await runJob(() => 1000 + DAY_MS / 2);
    assert.deepEqual([second.result.tasks, images.length], [0, 0]);
    const waitMs = (second.next ?? 0) - Date.now();
    assert.ok(waitMs > DAY_MS / 2 - 60_000 && waitMs <= DAY_MS / 2, `${waitMs}`);
    await runJob(() => 1001 + DAY_MS);
    assert.equal(images.length, 2);
    // A clock that was set back by years holds nothing up.
    await runJob(() => -DAY_MS * 900);
    assert.equal(images.length, 4);
    await writeFile(join(root, '_zot/scrub.json'), '{"startedMs": 1, "repo": "../..", torn');
    await runJob(() => 5000);
    assert.equal(images.length, 6);
  });

  test('ends its round when it cannot go on, and goes on where it was a little later', async () => {
    await pushImage(A);
    let faults = 0;
    const broken = new Proxy(opened.index, {
      get(index, name) {
        const value: unknown = Reflect.get(index, name);
        if (typeof value !== 'function') return value;
        return (...args: readonly unknown[]): unknown => {
          if (name !== 'listDamage' || pass === 'sound') return Reflect.apply(value, index, args);
          faults += 1;
          assert.ok(faults < 50, 'it begins again and again');
          return Promise.reject(new Error('disk I/O error'));
        };
      },
    });
    let pass: 'sound' | 'broken' = 'broken';
    const scheduler = new Scheduler({ workers: 2, logger: SILENT });
    try {
      const job = scrubJob(partsOf({ index: broken }), DAY_MS);
      scheduler.add(job);
      assert.equal((await scheduler.run(job.name)).failed, 1);
      const waitMs = (scheduler.status()[0]?.nextRoundMs ?? 0) - Date.now();
      assert.ok(waitMs > 0 && waitMs <= 60_000, `${waitMs}`);
      pass = 'sound';
      assert.equal((await scheduler.run(job.name)).failed, 0);
      const [store] = opened.storage.stores;
      assert.ok(store);
      assert.notEqual((await readScrubState(store))?.finishedMs, null);
    } finally {
      await scheduler.close();
    }
  });
});
