/**
 * Every operation on tags that can be undone, with the process dying before each call of its disk and of its databases
 * in turn. After a restart the history tells what the tags say, never more and never less; what was lost can be had
 * back; collection takes nothing of it; and the operation can be done again.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { NO_AUDIT } from '#lib/audit-log';
import { parseDigest } from '#oci/digest';
import { parseTag, readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { NO_TAG_RULES, RegistryError } from '#registry';
import type { Registry } from '#registry';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { SettledRepositories, Sweep, SweepClock, emptyReport, gcSettings, systemTime } from '#tasks';
import type { SweepParts } from '#tasks';
import { bodyOf } from './gc/actor.ts';
import { DyingDisk } from './support/dying-disk.ts';
import { contentOf, imageOf } from './support/images.ts';
import { openRegistry } from './support/opened-registry.ts';
import type { OpenedRegistry } from './support/opened-registry.ts';
import { onCopy } from './support/sample-folder.ts';

const APP = parseRepoName('library/app');
const LATEST = parseTag('latest');
const DAY_MS = 86_400_000;
const UNDO = { ...NO_TAG_RULES, undoMs: () => DAY_MS, shortestUndoMs: DAY_MS };
const CALLS_MAX = 80;

const layer = contentOf(Buffer.from('a layer '.repeat(100)));
const one = imageOf([layer], 'one');
const two = imageOf([layer], 'two');
const images = [one, two];

async function open(root: string, disk?: DyingDisk): Promise<OpenedRegistry> {
  const opened = await openRegistry({
    root,
    driver: disk === undefined ? new LocalDriver(root) : new LocalDriver(root, disk),
    durable: false,
    ...(disk === undefined ? {} : { wrapIndex: (index) => disk.index(index) }),
    ...(disk === undefined ? {} : { wrapHistory: (history) => disk.history(history) }),
  });
  opened.keeper.tags.use(UNDO);
  return opened;
}

async function withOpened<Result>(
  root: string,
  work: (opened: OpenedRegistry) => Promise<Result>,
): Promise<Result> {
  const opened = await open(root);
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

function push(registry: Registry, image: (typeof images)[number], tag: string): Promise<unknown> {
  const { mediaType, bytes } = image.manifest;
  return registry.pushManifest({ repo: APP, reference: readReference(tag), mediaType, bytes, tags: [] });
}

let base = '';
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'zot-undo-kill-'));
  await withOpened(base, async ({ registry, keeper }) => {
    for (const { digest, bytes } of [layer, ...one.blobs, ...two.blobs])
      await registry.uploads.pushWhole(APP, parseDigest(digest), { source: bodyOf(bytes) });
    await push(registry, one, 'latest');
    await push(registry, two, 'v2');
    await push(registry, two, 'gone');
    await keeper.deleteManifest(APP, readReference('gone'), 1);
  });
});
after(() => rm(base, { recursive: true, force: true }));

interface Operation {
  readonly name: string;
  readonly run: (opened: OpenedRegistry) => Promise<unknown>;
  /** What cannot be had back afterwards. */
  readonly purges?: string;
}

const restore = ({ keeper }: OpenedRegistry, tag: string, digest: string | null = null): Promise<unknown> =>
  keeper.tags.restore({
    repo: APP,
    tag: parseTag(tag),
    digest: digest === null ? null : parseDigest(digest),
    atMs: null,
    by: 'op',
  });

const operations: readonly Operation[] = [
  { name: 'move of a tag', run: ({ registry }) => push(registry, two, 'latest') },
  { name: 'push of a new tag', run: ({ registry }) => push(registry, one, 'fresh') },
  { name: 'delete of a tag', run: ({ registry }) => registry.deleteManifest(APP, readReference('latest')) },
  {
    name: 'delete of a manifest',
    run: ({ registry }) => registry.deleteManifest(APP, readReference(one.manifest.digest)),
  },
  { name: 'restore of a tag', run: (opened) => restore(opened, 'gone') },
  {
    name: 'purge',
    run: ({ keeper }) => keeper.tags.purge({ repo: APP, reference: readReference('latest'), by: 'op' }),
    purges: one.manifest.digest,
  },
];

const TAGS = ['latest', 'v2', 'gone', 'fresh'].map(parseTag);
const ALL = { beforeMs: Infinity, sinceMs: -1, digest: null, limit: 100 };

/** What each tag names, with its history, which must tell the same. */
async function viewOf({ keeper, index }: OpenedRegistry): Promise<Record<string, string | null>> {
  const view: Record<string, string | null> = {};
  for (const tag of TAGS) {
    const named = (await index.findManifest(APP, { kind: 'tag', tag }))?.digest ?? null;
    const [last] = (await keeper.listTagEvents(APP, tag, ALL))?.events ?? [];
    const isThere = last !== undefined && ['created', 'moved', 'restored'].includes(last.kind);
    assert.equal(isThere ? last.digest : null, named, `${tag} is not what its history says`);
    view[tag] = named;
  }
  return view;
}

async function collectAll(opened: OpenedRegistry): Promise<void> {
  const { storage, index, records, keeper } = opened;
  const store = storage.stores[0] as SweepParts['store'];
  const clock = new SweepClock(systemTime);
  const settings = {
    ...gcSettings({ gc: true, gcDelay: 0, gcInterval: 0, gcTimeWindow: '', retention: undefined }),
    delayMs: 0,
    manifestDelayMs: 0,
  };
  const shared = { storage, index, records, keeper, store, clock, settings, serving: false };
  const parts = { ...shared, audit: NO_AUDIT, logger: pino({ level: 'silent' }) };
  const context = { signal: new AbortController().signal, pause: async (): Promise<void> => undefined };
  await keeper.garbage.noteWhole(APP);
  for (let round = 0; round < 3; round += 1)
    await new Sweep({ ...parts, settled: new SettledRepositories() }, context, emptyReport()).run();
}

/** Everything that was pushed can be had back, also after a collection. */
async function requireAll(opened: OpenedRegistry, purged: string | undefined): Promise<void> {
  await collectAll(opened);
  for (const { manifest, blobs } of images) {
    if (manifest.digest === purged) continue;
    await restore(opened, 'rescued', manifest.digest);
    const { bytes } = await opened.registry.pullManifest(APP, readReference('rescued'));
    assert.ok(bytes.equals(manifest.bytes));
    for (const { digest } of [layer, ...blobs]) await opened.registry.statBlob(APP, parseDigest(digest));
  }
}

async function die(operation: Operation, root: string, at: number): Promise<{ done: boolean; call: string }> {
  const disk = new DyingDisk();
  const opened = await open(root, disk);
  try {
    disk.arm({ at, torn: false });
    const done = operation.run(opened).then(() => true);
    return { done: await Promise.race([done, disk.died.then(() => false)]), call: disk.calls.at(-1) ?? '' };
  } finally {
    await disk.bury();
    await opened.abandon();
  }
}

describe('a change of tags whose process dies', { timeout: 240_000 }, () => {
  for (const operation of operations) {
    test(`tells in the history what has happened, and loses nothing: ${operation.name}`, async (context) => {
      const [old, changed] = await onCopy(base, (root) =>
        withOpened(root, async (opened) => {
          const before = await viewOf(opened);
          await operation.run(opened);
          return [before, await viewOf(opened)] as const;
        }),
      );
      const calls = new Set<string>();
      for (let at = 1, finished = false; !finished; at += 1) {
        assert.ok(at < CALLS_MAX, 'the operation makes too many calls');
        finished = await onCopy(base, async (root) => {
          const { done, call } = await die(operation, root, at);
          calls.add(call);
          await withOpened(root, async (opened) => {
            const found = await viewOf(opened);
            if (done) assert.deepEqual(found, changed);
            else assert.ok([old, changed].some((view) => JSON.stringify(view) === JSON.stringify(found)));
            await operation.run(opened).catch((error: unknown) => {
              if (!(error instanceof RegistryError && error.status === 404)) throw error;
            });
            assert.deepEqual(await viewOf(opened), changed);
            await requireAll(opened, operation.purges);
          });
          return done;
        });
      }
      context.diagnostic([...calls].join(', '));
    });
  }
});

test('the history is judged also when nobody changes the repository again', async () => {
  await onCopy(base, async (root) => {
    await die(operations[0] as Operation, root, 1);
    await withOpened(root, async ({ keeper }) => {
      const page = await keeper.listTagEvents(APP, LATEST, ALL);
      assert.equal(page?.events[0]?.kind, 'created');
    });
  });
});

test('what is held outlives the index: it is absent again, and can be had back', async () => {
  await onCopy(base, async (root) => {
    await withOpened(root, (opened) =>
      opened.registry.deleteManifest(APP, readReference(one.manifest.digest)),
    );
    for (const suffix of ['', '-wal', '-shm'])
      await rm(join(root, OWN_FOLDER, `index.db${suffix}`), { force: true });
    await withOpened(root, async (opened) => {
      await opened.keeper.tags.hideHeld(new AbortController().signal);
      const blob = opened.registry.statBlob(APP, parseDigest(one.manifest.digest));
      await assert.rejects(blob, (error) => error instanceof RegistryError && error.status === 404);
      await requireAll(opened, undefined);
    });
  });
});
