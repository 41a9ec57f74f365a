/** What every implementation of the index must do with candidates and tombstones, as a suite of node:test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HELD_SINCE_MS, UPLOADS, WHOLE_REPOSITORY } from './garbage-contract.ts';
import type { CandidateRow } from './garbage-contract.ts';
import type { OpenedIndex } from './index-contract.suite.ts';
import { OTHER, REPO, change, digestOfText, entry, image } from './index-samples.suite.ts';

const BLOB = digestOfText('blob');
const candidate = (sinceMs: number, what: CandidateRow['what'] = BLOB, repo = REPO): CandidateRow => ({
  repo,
  what,
  sinceMs,
});

/** Declares the suite. `open` gives an empty index for each test. */
export function garbageContract(name: string, open: () => Promise<OpenedIndex>): void {
  describe(`the ${name} index keeps the contract of garbage`, () => {
    const garbageTest = (title: string, work: (index: OpenedIndex) => Promise<void>): void => {
      test(title, { timeout: 30_000 }, async () => {
        const index = await open();
        try {
          await work(index);
        } finally {
          await index.close();
        }
      });
    };

    garbageTest('lists candidates by age, page by page, each once', async ({ writer }) => {
      const rows = Array.from({ length: 25 }, (_, at) =>
        candidate(1000 + (at % 5), digestOfText(`${at}`), at % 2 === 0 ? REPO : OTHER),
      );
      await writer.addCandidates([...rows, candidate(1001, UPLOADS), candidate(1002, WHOLE_REPOSITORY)]);
      const found: CandidateRow[] = [];
      for (let after: CandidateRow | null = null; ;) {
        const page: CandidateRow[] = await writer.listCandidates({ beforeMs: 5000, after, limit: 4 });
        found.push(...page);
        const last = page.at(-1);
        if (last === undefined) break;
        after = last;
      }
      assert.equal(found.length, 27);
      assert.equal(new Set(found.map(({ repo, what }) => `${repo} ${what}`)).size, 27);
      const times = found.map(({ sinceMs }) => sinceMs);
      assert.deepEqual(
        times,
        times.toSorted((left, right) => left - right),
      );
      const young = await writer.listCandidates({ beforeMs: 1001.5, after: null, limit: 100 });
      assert.deepEqual([...new Set(young.map(({ sinceMs }) => sinceMs))], [1000, 1001]);
      assert.deepEqual(await writer.listCandidates({ beforeMs: 999, after: null, limit: 100 }), []);
    });

    garbageTest('keeps the tombstones of what is held, and lists none of them', async ({ writer }) => {
      const held = { repo: REPO, digest: BLOB, sinceMs: HELD_SINCE_MS, modifiedMs: 5 };
      await writer.addTombstones([held]);
      await writer.shiftTimes(10_000);
      await writer.clampTimes(1);
      assert.deepEqual(await writer.listTombstones({ beforeMs: Infinity, after: null, limit: 9 }), []);
      assert.deepEqual(await writer.findTombstone(REPO, BLOB), held);
      assert.equal(await writer.isTombstoned(REPO, BLOB), true);
      await writer.addTombstones([{ ...held, sinceMs: 7 }]);
      assert.equal((await writer.listTombstones({ beforeMs: 7, after: null, limit: 9 })).length, 1);
    });

    garbageTest(
      'takes a candidate off only as it was seen, not one that was noted again',
      async ({ writer }) => {
        const list = () => writer.listCandidates({ beforeMs: 9000, after: null, limit: 10 });
        await writer.addCandidates([candidate(1000)]);
        await writer.addCandidates([candidate(2000)]);
        await writer.addCandidates([candidate(1500)]);
        assert.deepEqual(await list(), [candidate(2000)]);
        assert.deepEqual(await writer.findCandidate(REPO, BLOB), candidate(2000));
        assert.equal(await writer.findCandidate(OTHER, BLOB), null);
        await writer.removeCandidates([candidate(1000)]);
        assert.deepEqual(await list(), [candidate(2000)]);
        await writer.removeCandidates([candidate(2000), candidate(2000, UPLOADS)]);
        assert.deepEqual(await list(), []);
      },
    );

    garbageTest(
      'shows a tombstone to every reader until it is taken away',
      async ({ writer, openReader }) => {
        const reader = await openReader();
        assert.equal(await reader.isTombstoned(REPO, BLOB), false);
        const rows = [3000, 1000, 2000].map((sinceMs) => ({
          repo: REPO,
          digest: digestOfText(`${sinceMs}`),
          sinceMs,
          modifiedMs: sinceMs - 7,
        }));
        await writer.addTombstones(rows);
        assert.deepEqual(await writer.findTombstone(REPO, rows[0]?.digest ?? BLOB), rows[0]);
        assert.equal(await writer.findTombstone(OTHER, rows[0]?.digest ?? BLOB), null);
        assert.equal(await reader.isTombstoned(REPO, rows[1]?.digest ?? BLOB), true);
        assert.deepEqual(await writer.listTombstones({ beforeMs: 2500, after: null, limit: 10 }), [
          rows[1],
          rows[2],
        ]);
        const first = await writer.listTombstones({ beforeMs: 9000, after: null, limit: 1 });
        assert.deepEqual(first, [rows[1]]);
        const next = { beforeMs: 9000, after: first[0] ?? null, limit: 1 };
        assert.deepEqual(await writer.listTombstones(next), [rows[2]]);
        await writer.removeTombstones(REPO, [rows[1]?.digest ?? BLOB, BLOB]);
        assert.equal(await reader.isTombstoned(REPO, rows[1]?.digest ?? BLOB), false);
        assert.deepEqual(await writer.listTombstones({ beforeMs: 9000, after: null, limit: 10 }), [
          rows[2],
          rows[0],
        ]);
      },
    );

    garbageTest('notes candidates and revives blobs within the change that caused it', async ({ writer }) => {
      const one = image('one');
      await writer.addTombstones([{ repo: REPO, digest: BLOB, sinceMs: 1, modifiedMs: 1 }]);
      const push = change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one], revived: [BLOB] });
      await writer.applyChanges([{ ...push, candidates: [candidate(1000)] }]);
      assert.equal(await writer.isTombstoned(REPO, BLOB), false);
      assert.deepEqual(await writer.listCandidates({ beforeMs: 2000, after: null, limit: 10 }), [
        candidate(1000),
      ]);
      // A change that fails does neither.
      await writer.addTombstones([{ repo: REPO, digest: BLOB, sinceMs: 1, modifiedMs: 1 }]);
      await assert.rejects(writer.applyChanges([{ ...push, candidates: [candidate(1500, UPLOADS)] }]));
      assert.equal(await writer.isTombstoned(REPO, BLOB), true);
      assert.equal((await writer.listCandidates({ beforeMs: 2000, after: null, limit: 10 })).length, 1);
    });

    garbageTest('revives what manifests refer to, and nothing else', async ({ writer }) => {
      const one = image('one');
      const referred = one.projection?.references[0]?.digest ?? BLOB;
      await writer.applyChanges([change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one] })]);
      const buried = [referred, one.digest, BLOB];
      await writer.addTombstones(
        buried.flatMap((digest) =>
          [REPO, OTHER].map((repo) => ({ repo, digest, sinceMs: 1, modifiedMs: 1 })),
        ),
      );
      await writer.reviveReferenced(REPO);
      const found = await Promise.all(buried.map((digest) => writer.isTombstoned(REPO, digest)));
      assert.deepEqual(found, [false, false, true]);
      assert.equal(await writer.isTombstoned(OTHER, referred), true);
    });

    garbageTest(
      'knows of a manifest that nobody could read, also when its row is taken over',
      async ({ writer }) => {
        assert.equal(await writer.findUnread(REPO), null);
        const one = image('one');
        const unread = { ...image('two'), projection: null };
        const rows = {
          addedEntries: [entry(0, one, 'v1'), entry(1, unread, 'v2')],
          addedManifests: [one, unread],
        };
        const added = change(rows);
        await writer.applyChanges([added]);
        assert.equal(await writer.findUnread(REPO), unread.digest);
        const { state } = added;
        const entries = [entry(0, unread, 'v2')];
        const snapshot = { repo: REPO, state, entries, manifests: [], kept: [unread.digest], blobs: [] };
        await writer.replaceRepository(snapshot);
        assert.equal(await writer.findUnread(REPO), unread.digest);
        await writer.replaceRepository({ ...snapshot, manifests: [image('two')], kept: [] });
        assert.equal(await writer.findUnread(REPO), null);
      },
    );

    garbageTest(
      'moves all times with a clock, but not those of what is only to be looked at',
      async ({ writer }) => {
        await writer.addCandidates([candidate(1000), candidate(0, WHOLE_REPOSITORY)]);
        await writer.addTombstones([{ repo: REPO, digest: BLOB, sinceMs: 500, modifiedMs: 1 }]);
        await writer.shiftTimes(300);
        const rows = await writer.listCandidates({ beforeMs: 9000, after: null, limit: 10 });
        assert.deepEqual(rows, [candidate(0, WHOLE_REPOSITORY), candidate(1300)]);
        assert.equal((await writer.findTombstone(REPO, BLOB))?.sinceMs, 800);
      },
    );

    garbageTest('brings times of the future back to now, and leaves the past alone', async ({ writer }) => {
      await writer.addCandidates([candidate(1000), candidate(9000, UPLOADS)]);
      await writer.addTombstones([
        { repo: REPO, digest: BLOB, sinceMs: 500, modifiedMs: 1 },
        { repo: OTHER, digest: BLOB, sinceMs: 9000, modifiedMs: 1 },
      ]);
      await writer.clampTimes(2000);
      const candidates = await writer.listCandidates({ beforeMs: 2000, after: null, limit: 10 });
      assert.deepEqual(candidates, [candidate(1000), candidate(2000, UPLOADS)]);
      const tombstones = await writer.listTombstones({ beforeMs: 2000, after: null, limit: 10 });
      assert.deepEqual(
        tombstones.map(({ sinceMs }) => sinceMs),
        [500, 2000],
      );
    });
  });
}
