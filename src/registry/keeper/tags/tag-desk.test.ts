import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { HELD_SINCE_MS } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { parseTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import {
  childOf,
  openKeeper,
  pushOf,
  type OpenedKeeper,
  type PlainDescriptor,
} from '../../../../test/support/opened-keeper.ts';
import type { ManifestPush } from '../keeper-contract.ts';
import { NO_TAG_RULES } from './tag-rules.ts';
import type { TagRules } from './tag-rules.ts';

const HOUR = 3_600_000;
const V1 = parseTag('v1');
const ALL = { beforeMs: Infinity, sinceMs: -1, digest: null, limit: 100 };
const UNDO: TagRules = { ...NO_TAG_RULES, undoMs: () => HOUR, shortestUndoMs: HOUR };

let opened: OpenedKeeper;
let nowMs = 1_000_000;
beforeEach(async () => {
  opened = await openKeeper(undefined, () => (nowMs += 1000));
  opened.keeper.tags.use(UNDO);
});
afterEach(() => opened.close());

let count = 0;
async function image(
  tags: readonly string[],
  layers: readonly PlainDescriptor[] = [],
): Promise<ManifestPush> {
  const config = await opened.putBlob(`{"n":${(count += 1)}}`, 'application/vnd.oci.image.config.v1+json');
  const push = { ...pushOf(opened.repo, { config, layers }, tags), by: 'alice' };
  await opened.keeper.pushManifest(push);
  return push;
}

async function index(tags: readonly string[], children: readonly ManifestPush[]): Promise<ManifestPush> {
  const annotations = { n: String((count += 1)) };
  const push = pushOf(opened.repo, { manifests: children.map(childOf), annotations }, tags);
  await opened.keeper.pushManifest(push);
  return push;
}

const deleteTag = (tag = V1) =>
  opened.keeper.deleteManifest(opened.repo, { kind: 'tag', tag }, Infinity, 'bob');
const deleteDigest = (digest: Digest) =>
  opened.keeper.deleteManifest(opened.repo, { kind: 'digest', digest }, Infinity, 'bob');
const story = async (tag = V1): Promise<(string | null)[][]> => {
  const page = await opened.keeper.listTagEvents(opened.repo, tag, ALL);
  return (page?.events ?? []).map(({ kind, digest, previous, by }) => [kind, digest, previous, by]);
};
const named = async (tag = V1): Promise<Digest | null> =>
  (await opened.index.findManifest(opened.repo, { kind: 'tag', tag }))?.digest ?? null;
const stands = async (digest: Digest): Promise<boolean> => (await opened.store.statBlob(digest)) !== null;
const isAbsent = (digest: Digest): Promise<boolean> => opened.index.isTombstoned(opened.repo, digest);
const restore = (of: { digest?: Digest; atMs?: number } = {}, tag = V1) =>
  opened.keeper.tags.restore({
    repo: opened.repo,
    tag,
    digest: of.digest ?? null,
    atMs: of.atMs ?? null,
    by: 'carol',
  });
const isRefused = (code: string, status: number) => (error: unknown) =>
  error instanceof RegistryError && error.code === code && error.status === status;

describe('the history of a tag', () => {
  test('tells what a tag named, when, and who changed it', async () => {
    const one = await image(['v1']);
    const two = await image(['v1']);
    await deleteTag();
    assert.deepEqual(await story(), [
      ['deleted', two.digest, two.digest, 'bob'],
      ['moved', two.digest, one.digest, 'alice'],
      ['created', one.digest, null, 'alice'],
    ]);
    const page = await opened.keeper.listTagEvents(opened.repo, V1, { ...ALL, limit: 2 });
    assert.deepEqual([page?.events.length, page?.more], [2, true]);
    const first = page?.events[1];
    assert.deepEqual([first?.mediaType, first?.sizeBytes], [two.mediaType, two.bytes.length]);
  });

  test('knows nothing of a push that changes nothing', async () => {
    const one = await image(['v1']);
    await opened.keeper.pushManifest(one);
    await opened.keeper.pushManifest({ ...one, tags: [] });
    assert.equal((await story()).length, 1);
  });

  test('tells of a deleted manifest under each of its tags', async () => {
    const one = await image(['v1', 'v2']);
    await deleteDigest(one.digest);
    for (const tag of ['v1', 'v2']) assert.equal((await story(parseTag(tag)))[0]?.[0], 'manifestDeleted');
  });

  test('is not kept, and nothing is held, where undo is off', async () => {
    opened.keeper.tags.use(NO_TAG_RULES);
    const one = await image(['v1']);
    await deleteTag();
    await deleteDigest(one.digest);
    assert.equal(await opened.keeper.listTagEvents(opened.repo, V1, ALL), null);
    assert.equal(await stands(one.digest), false);
    assert.deepEqual(await opened.records.history.listHeld(opened.repo, { after: '', limit: 9 }), []);
    assert.deepEqual(await opened.records.history.listEvents(opened.repo, V1, ALL), []);
  });

  test('follows a repository to another name', async () => {
    const one = await image(['v1']);
    await image(['v1']);
    const other = parseRepoName('unit/renamed');
    await opened.keeper.tags.forgetEvents(other);
    await opened.keeper.tags.moveRepository(opened.repo, other);
    assert.equal((await opened.keeper.listTagEvents(other, V1, ALL))?.events.length, 2);
    assert.equal((await story()).length, 0);
    assert.equal(await opened.keeper.tags.isHeld(other, one.digest), true);
  });

  test('judges what was pending when the process died by the tags as they are', async () => {
    const one = await image(['v1']);
    const two = await image([]);
    const { repo } = opened;
    const base = { repo, mediaType: one.mediaType, sizeBytes: 1, by: '', previous: null };
    // As it was left by a process that died before index.json was replaced, and by one that died after it.
    const events = [
      { ...base, tag: V1, kind: 'moved', digest: two.digest },
      { ...base, tag: parseTag('v2'), kind: 'deleted', digest: two.digest },
      { ...base, tag: parseTag('v3'), kind: 'created', digest: two.digest },
    ] as const;
    await opened.records.history.append({ events, holds: [], nowMs: 1, durable: true, confirmed: [] });
    // A new process knows of it.
    opened.keeper.tags.use(UNDO);
    const { TagHistory } = await import('./tag-history.ts');
    const history = new TagHistory(opened.records.history);
    history.use(UNDO);
    assert.equal(await history.isInDoubt(repo), true);
    await history.settle(repo, opened.index);
    assert.equal(await history.isInDoubt(repo), false);
    assert.deepEqual(
      (await story()).map(([kind]) => kind),
      ['created'],
    );
    assert.equal((await story(parseTag('v2'))).length, 1);
    assert.equal((await story(parseTag('v3'))).length, 0);
  });
});

describe('what was deleted', () => {
  test('is gone for clients at once, and its bytes wait', async () => {
    const layer = await opened.putBlob('layer one');
    const one = await image(['v1'], [layer]);
    await deleteDigest(one.digest);
    assert.equal(await opened.index.findManifest(opened.repo, { kind: 'digest', digest: one.digest }), null);
    assert.deepEqual([await stands(one.digest), await isAbsent(one.digest)], [true, true]);
    // What it needed may be deleted too: absent from then on, and still there.
    await opened.keeper.deleteBlob(opened.repo, layer.digest);
    assert.deepEqual([await stands(layer.digest), await isAbsent(layer.digest)], [true, true]);
    const tombstone = await opened.index.findTombstone(opened.repo, layer.digest);
    assert.equal(tombstone?.sinceMs, HELD_SINCE_MS);
    assert.deepEqual(await restore(), { digest: one.digest, previous: null, changed: true });
    assert.equal(await named(), one.digest);
    for (const { digest } of [one, layer]) assert.equal(await isAbsent(digest), false);
  });

  test('comes back with a push of the same content', async () => {
    const layer = await opened.putBlob('layer two');
    const one = await image(['v1'], [layer]);
    await deleteDigest(one.digest);
    await opened.keeper.deleteBlob(opened.repo, layer.digest);
    await opened.putBlob('layer two');
    assert.equal(await isAbsent(layer.digest), false);
    await opened.keeper.pushManifest(one);
    assert.equal(await isAbsent(one.digest), false);
    assert.equal(await named(), one.digest);
  });

  test('is held with all that is below it, indexes in indexes included', async () => {
    const leaf = await image([]);
    const inner = await index([], [leaf]);
    const outer = await index(['v1'], [inner]);
    await deleteDigest(outer.digest);
    for (const { digest } of [leaf, inner, outer])
      assert.ok(await opened.keeper.tags.isHeld(opened.repo, digest), digest);
    const held = await opened.keeper.tags.listHeld(opened.repo, { after: '', limit: 100 });
    assert.equal(held.length, 4);
    await deleteDigest(inner.digest);
    await deleteDigest(leaf.digest);
    await restore();
    for (const { digest } of [leaf, inner, outer])
      assert.notEqual(await opened.index.findManifest(opened.repo, { kind: 'digest', digest }), null);
  });

  test('is released in steps: absent bytes get the grace of any garbage, the rest is noted', async () => {
    const one = await image(['v1']);
    await deleteDigest(one.digest);
    const holds = await opened.keeper.tags.listHolds({ beforeMs: Infinity, after: null, limit: 10 });
    assert.equal(holds.length, 2);
    for (const hold of holds) await opened.keeper.tags.release(hold);
    assert.equal(await opened.keeper.tags.isHeld(opened.repo, one.digest), false);
    assert.notEqual((await opened.index.findTombstone(opened.repo, one.digest))?.sinceMs, HELD_SINCE_MS);
    for (const { digest } of holds)
      assert.notEqual(await opened.index.findCandidate(opened.repo, digest), null);
  });

  test('is absent again after the index was lost', async () => {
    const one = await image(['v1']);
    await deleteDigest(one.digest);
    await opened.index.removeTombstones(opened.repo, [one.digest]);
    await opened.keeper.tags.hideHeld(new AbortController().signal);
    assert.equal(await isAbsent(one.digest), true);
  });
});

describe('a tag that is restored', () => {
  test('names what it named before its last change, and back again', async () => {
    const one = await image(['v1']);
    const two = await image(['v1']);
    assert.deepEqual(await restore(), { digest: one.digest, previous: two.digest, changed: true });
    assert.deepEqual((await story())[0], ['restored', one.digest, two.digest, 'carol']);
    assert.equal((await restore()).digest, two.digest);
    assert.equal(await named(), two.digest);
  });

  test('names what it named at a time', async () => {
    const one = await image(['v1']);
    const between = nowMs;
    const two = await image(['v1']);
    const beforeDelete = nowMs;
    await deleteTag();
    assert.equal((await restore({ atMs: between })).digest, one.digest);
    assert.equal((await restore({ atMs: beforeDelete })).digest, two.digest);
    assert.equal((await restore({ atMs: beforeDelete })).changed, false);
    await assert.rejects(restore({ atMs: 5 }), isRefused('MANIFEST_UNKNOWN', 404));
  });

  test('may name any manifest that is there or held, under a new tag too', async () => {
    const one = await image(['v1']);
    await deleteDigest(one.digest);
    const other = parseTag('rescued');
    assert.equal((await restore({ digest: one.digest }, other)).digest, one.digest);
    assert.equal(await named(other), one.digest);
    await assert.rejects(restore({}, parseTag('never')), isRefused('MANIFEST_UNKNOWN', 404));
  });

  test('is refused when its content is gone', async () => {
    const one = await image(['v1']);
    await deleteDigest(one.digest);
    await opened.store.deleteBlob(one.digest);
    await assert.rejects(restore(), isRefused('MANIFEST_UNKNOWN', 404));
  });
});

describe('a purge', () => {
  const purge = (text: { tag?: string; digest?: Digest }) =>
    opened.keeper.tags.purge({
      repo: opened.repo,
      reference:
        text.digest === undefined
          ? { kind: 'tag', tag: parseTag(text.tag ?? 'v1') }
          : { kind: 'digest', digest: text.digest },
      by: 'root',
    });

  test('removes the manifest, its tags and the bytes that nothing else needs', async () => {
    const shared = await opened.putBlob('shared');
    const secret = await opened.putBlob('secret');
    const one = await image(['v1', 'v2'], [shared, secret]);
    const two = await image(['stays'], [shared]);
    const report = await purge({});
    assert.deepEqual([report.digest, report.tags.toSorted(), report.blobs], [one.digest, ['v1', 'v2'], 3]);
    assert.deepEqual(report.kept, [{ digest: shared.digest, neededBy: two.digest }]);
    assert.deepEqual([await stands(one.digest), await stands(secret.digest)], [false, false]);
    assert.equal(await stands(shared.digest), true);
    assert.equal((await story())[0]?.[0], 'purged');
    await assert.rejects(restore(), isRefused('MANIFEST_UNKNOWN', 404));
    assert.equal(await opened.keeper.tags.isHeld(opened.repo, one.digest), false);
    await assert.rejects(purge({ digest: one.digest }), isRefused('MANIFEST_UNKNOWN', 404));
  });

  test('takes what was deleted out of its hold, and what is below an index', async () => {
    const leaf = await image([]);
    const outer = await index(['v1'], [leaf]);
    await deleteDigest(outer.digest);
    const report = await purge({});
    assert.equal(report.digest, outer.digest);
    assert.equal(report.blobs, 3);
    for (const { digest } of [leaf, outer]) assert.equal(await stands(digest), false);
    assert.equal(await opened.index.findManifest(opened.repo, { kind: 'digest', digest: leaf.digest }), null);
    assert.deepEqual((await story())[0]?.slice(0, 2), ['purged', outer.digest]);
  });

  test('keeps what another deleted image needs, and names it', async () => {
    const shared = await opened.putBlob('in both');
    const one = await image(['v1'], [shared]);
    const two = await image(['v2'], [shared]);
    await deleteDigest(two.digest);
    const report = await purge({});
    assert.deepEqual(report.kept, [{ digest: shared.digest, neededBy: two.digest }]);
    assert.equal(await stands(one.digest), false);
    await restore({}, parseTag('v2'));
  });

  test('is refused while an index lists the manifest', async () => {
    const leaf = await image(['v1']);
    await index(['list'], [leaf]);
    await assert.rejects(purge({}), isRefused('DENIED', 405));
  });
});

describe('an immutable tag', () => {
  const immutable = (deletable: boolean): TagRules => ({
    ...UNDO,
    guards: () => true,
    immutability: (_repo, tag) => (tag.startsWith('v') ? { deletable } : null),
  });

  test('is pushed once, and again with the same content', async () => {
    opened.keeper.tags.use(immutable(false));
    const one = await image(['v1']);
    await opened.keeper.pushManifest(one);
    await assert.rejects(image(['v1']), (error: unknown) => {
      assert.ok(error instanceof RegistryError);
      assert.match(error.message, new RegExp(`v1 is immutable and names ${one.digest}: it cannot be moved`));
      return error.status === 409 && error.code === 'DENIED';
    });
    await image(['latest']);
    await image(['latest']);
    assert.equal(await named(), one.digest);
  });

  test('is decided within the push: of many at once one stands', async () => {
    opened.keeper.tags.use({ ...immutable(false), undoMs: () => 0, shortestUndoMs: null });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => image(['v7'])));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  test('is not deleted, by its digest neither, unless that is allowed; background work may', async () => {
    opened.keeper.tags.use(immutable(false));
    const one = await image(['v1']);
    await assert.rejects(deleteTag(), isRefused('DENIED', 409));
    await assert.rejects(deleteDigest(one.digest), isRefused('DENIED', 409));
    const watch = await opened.keeper.retention.open(opened.repo);
    const tags = [{ tag: V1, digest: one.digest, isKeptByPull: false }];
    assert.deepEqual(await opened.keeper.retention.retire(watch, tags), [V1]);
    watch.close();
    assert.deepEqual((await story())[0], ['deleted', one.digest, one.digest, 'retention']);
    await restore();
    opened.keeper.tags.use(immutable(true));
    await assert.rejects(image(['v1']), isRefused('DENIED', 409));
    await deleteTag();
    assert.equal(await named(), null);
  });
});
