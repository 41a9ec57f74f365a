/** What every implementation of the index must do with candidates and tombstones, as a suite of node:test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UPLOADS, WHOLE_REPOSITORY } from './garbage-contract.ts';
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

    garbageTest(
      'takes a candidate off only as it was seen, not one that was noted again',
      async ({ writer }) => {
        const list = () => writer.listCandidates({ beforeMs: 9000, after: null, limit: 10 });
        await writer.addCandidates([candidate(1000)]);
        await writer.addCandidates([candidate(2000)]);
        assert.deepEqual(await list(), [candidate(2000)]);
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
        }));
        await writer.addTombstones(rows);
        assert.deepEqual(await writer.findTombstone(REPO, rows[0]?.digest ?? BLOB), rows[0]);
        assert.equal(await writer.findTombstone(OTHER, rows[0]?.digest ?? BLOB), null);
        assert.equal(await reader.isTombstoned(REPO, rows[1]?.digest ?? BLOB), true);
        assert.deepEqual(await writer.listTombstones({ beforeMs: 2500, limit: 10 }), [rows[1], rows[2]]);
        assert.deepEqual(await writer.listTombstones({ beforeMs: 9000, limit: 1 }), [rows[1]]);
        await writer.removeTombstones(REPO, [rows[1]?.digest ?? BLOB, BLOB]);
        assert.equal(await reader.isTombstoned(REPO, rows[1]?.digest ?? BLOB), false);
        assert.deepEqual(await writer.listTombstones({ beforeMs: 9000, limit: 10 }), [rows[2], rows[0]]);
      },
    );

    garbageTest('notes candidates and revives blobs within the change that caused it', async ({ writer }) => {
      const one = image('one');
      await writer.addTombstones([{ repo: REPO, digest: BLOB, sinceMs: 1 }]);
      const push = change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one], revived: [BLOB] });
      await writer.applyChanges([{ ...push, candidates: [candidate(1000)] }]);
      assert.equal(await writer.isTombstoned(REPO, BLOB), false);
      assert.deepEqual(await writer.listCandidates({ beforeMs: 2000, after: null, limit: 10 }), [
        candidate(1000),
      ]);
      // A change that fails does neither.
      await writer.addTombstones([{ repo: REPO, digest: BLOB, sinceMs: 1 }]);
      await assert.rejects(writer.applyChanges([{ ...push, candidates: [candidate(1500, UPLOADS)] }]));
      assert.equal(await writer.isTombstoned(REPO, BLOB), true);
      assert.equal((await writer.listCandidates({ beforeMs: 2000, after: null, limit: 10 })).length, 1);
    });

    garbageTest('brings times of the future back to now, and leaves the past alone', async ({ writer }) => {
      await writer.addCandidates([candidate(1000), candidate(9000, UPLOADS)]);
      await writer.addTombstones([
        { repo: REPO, digest: BLOB, sinceMs: 500 },
        { repo: OTHER, digest: BLOB, sinceMs: 9000 },
      ]);
      await writer.clampTimes(2000);
      const candidates = await writer.listCandidates({ beforeMs: 2000, after: null, limit: 10 });
      assert.deepEqual(candidates, [candidate(1000), candidate(2000, UPLOADS)]);
      const tombstones = await writer.listTombstones({ beforeMs: 2000, limit: 10 });
      assert.deepEqual(
        tombstones.map(({ sinceMs }) => sinceMs),
        [500, 2000],
      );
    });
  });
}
