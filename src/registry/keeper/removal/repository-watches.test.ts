import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { parseTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { NO_CHANGE } from '../plans/operation.ts';
import type { Plan } from '../plans/operation.ts';
import { RepositoryWatches } from './repository-watches.ts';

const repo = parseRepoName('team/app');
const digest = digestOf(Buffer.from('manifest'));
const entry = (tag: string | null) => ({
  position: 0,
  digest,
  tag: tag === null ? null : parseTag(tag),
  json: '',
});
const without = (tag: string | null): Plan => ({ ...NO_CHANGE, removedEntries: [entry(tag)] });
const pull = { repo, digest, pulls: 1, lastPullMs: 1 };

describe('a watch', () => {
  test('knows what happened while it was open, in its repository', () => {
    const watches = new RepositoryWatches();
    watches.pulled([pull]);
    const watch = watches.open(repo);
    const other = watches.open(parseRepoName('other/app'));
    assert.ok(!watch.isPulled(digest));
    watches.pulled([pull]);
    assert.deepEqual([watch.isPulled(digest), other.isPulled(digest)], [true, false]);
    watch.close();
    watches.readAgain(repo);
    assert.ok(!watch.isOvertaken);
  });

  test('is overtaken by what left, but not by its own removals and by garbage that had no tag', () => {
    const watches = new RepositoryWatches();
    const [own, other] = [watches.open(repo), watches.open(repo)];
    const onPlan = (): void => undefined;
    watches.planned(repo, { kind: 'retire', tags: [], watch: own, onPlan }, without('v1'));
    assert.deepEqual([own.isOvertaken, other.isOvertaken], [false, true]);
    const rules = { deleteUntagged: true, deleteReferrers: true };
    const isKept = async (): Promise<boolean> => false;
    const collect = { kind: 'collectManifest', digest, rules, sinceMs: 0, isKept } as const;
    watches.planned(repo, collect, without(null));
    watches.planned(repo, { kind: 'refresh' }, NO_CHANGE);
    assert.ok(!own.isOvertaken);
    watches.planned(repo, collect, without('v2'));
    assert.ok(own.isOvertaken);
  });

  test('numbers pulls, so that a later one is seen', () => {
    const watches = new RepositoryWatches();
    const before = watches.pullMark(repo);
    watches.pulled([pull]);
    const after = watches.pullMark(repo);
    assert.notEqual(before, after);
    watches.pulled([{ ...pull, repo: parseRepoName('other/app') }]);
    assert.equal(watches.pullMark(repo), after);
    watches.pulled([pull]);
    assert.notEqual(watches.pullMark(repo), after);
  });
});
