/** What every implementation of the records must do, as a suite of node:test; API keys and sessions have their own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { parseTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { Records } from './records-contract.ts';

export interface OpenedRecords {
  readonly records: Records;
  /** Closes the records and opens them again, as a restart does. */
  readonly reopen: () => Promise<Records>;
  readonly close: () => Promise<void>;
}

const REPO = parseRepoName('library/debian');
const OTHER = parseRepoName('library/alpine');
const DIGEST = digestOf(Buffer.from('manifest'));
const SECOND = digestOf(Buffer.from('second'), 'sha512');
const NOTHING = { pulls: 0, lastPullMs: null, firstPushMs: null, pushedBy: null };

type Case = (title: string, work: (opened: OpenedRecords) => Promise<void>) => void;

/** Declares the suite. `open` gives empty records for each test. */
export function recordsContract(name: string, open: () => Promise<OpenedRecords>): void {
  describe(`the ${name} records keep the contract of the records`, () => {
    const recordsTest: Case = (title, work) => {
      test(title, { timeout: 30_000 }, async () => {
        const opened = await open();
        try {
          await work(opened);
        } finally {
          await opened.close();
        }
      });
    };
    pullCases(recordsTest);
    pushCases(recordsTest);
  });
}

function pullCases(recordsTest: Case): void {
  recordsTest('know nothing of what was never pulled or pushed', async ({ records }) => {
    await records.probe();
    assert.deepEqual(await records.statistics(REPO, DIGEST), NOTHING);
    assert.equal(await records.tagSinceMs(REPO, parseTag('latest')), null);
    await records.addPulls([]);
    await records.addPushes([]);
  });

  recordsTest('add up pulls and keep the time of the last one, whatever the order', async ({ records }) => {
    const pull = (pulls: number, lastPullMs: number, digest = DIGEST) => ({
      repo: REPO,
      digest,
      pulls,
      lastPullMs,
    });
    await records.addPulls([pull(2, 2000), pull(1, 5000), pull(3, 1000, SECOND)]);
    await records.addPulls([pull(4, 3000)]);
    assert.deepEqual(await records.statistics(REPO, DIGEST), { ...NOTHING, pulls: 7, lastPullMs: 5000 });
    assert.deepEqual(await records.statistics(REPO, SECOND), { ...NOTHING, pulls: 3, lastPullMs: 1000 });
    assert.deepEqual(await records.statistics(OTHER, DIGEST), NOTHING);
  });

  recordsTest('take over what was known before, as often as it is told', async ({ records, reopen }) => {
    await records.addPulls([{ repo: REPO, digest: DIGEST, pulls: 5, lastPullMs: 5000 }]);
    const tag = parseTag('v1');
    await records.addPushes([{ repo: REPO, digest: SECOND, tags: [tag], pushedMs: 4000 }]);
    const known = {
      repo: REPO,
      digest: DIGEST,
      pulls: 9,
      lastPullMs: 4000,
      firstPushMs: 1000,
      pushedBy: 'ann',
    };
    const second = { digest: SECOND, pulls: 0, lastPullMs: null, firstPushMs: 6000 };
    const earlier = {
      manifests: [known, { ...known, ...second }],
      tags: [{ repo: REPO, tag, sinceMs: 2000 }],
    };
    for (let time = 0; time < 2; time += 1) await records.takeOver(earlier);
    const again = await reopen();
    assert.deepEqual(await again.statistics(REPO, DIGEST), {
      pulls: 9,
      lastPullMs: 5000,
      firstPushMs: 1000,
      pushedBy: 'ann',
    });
    assert.deepEqual(await again.statistics(REPO, SECOND), { ...NOTHING, firstPushMs: 4000 });
    assert.equal(await again.tagSinceMs(REPO, tag), 2000);
  });

  recordsTest('count far, and keep times of today to the millisecond', async ({ records }) => {
    const lastPullMs = Date.now();
    await records.addPulls([{ repo: REPO, digest: DIGEST, pulls: 2 ** 40, lastPullMs }]);
    await records.addPulls([{ repo: REPO, digest: DIGEST, pulls: 1, lastPullMs }]);
    assert.deepEqual(await records.statistics(REPO, DIGEST), { ...NOTHING, pulls: 2 ** 40 + 1, lastPullMs });
  });

  recordsTest('take 10,000 counts at once', async ({ records }) => {
    const digests = Array.from({ length: 10_000 }, (_, at) => digestOf(Buffer.from(`${at}`)));
    await records.addPulls(
      digests.map((digest, at) => ({ repo: REPO, digest, pulls: at + 1, lastPullMs: at })),
    );
    assert.equal((await records.statistics(REPO, digests[9999] ?? DIGEST)).pulls, 10_000);
  });
}

function pushCases(recordsTest: Case): void {
  recordsTest('keep the first push of a digest, and when a tag name first appeared', async ({ records }) => {
    const [v1, latest] = [parseTag('v1'), parseTag('latest')];
    await records.addPushes([{ repo: REPO, digest: DIGEST, tags: [v1, latest], pushedMs: 1000 }]);
    await records.addPushes([
      { repo: REPO, digest: DIGEST, tags: [], pushedMs: 2000 },
      // The tag moves; its time stays.
      { repo: REPO, digest: SECOND, tags: [latest], pushedMs: 3000 },
      { repo: OTHER, digest: DIGEST, tags: [latest], pushedMs: 4000 },
    ]);
    assert.deepEqual(await records.statistics(REPO, DIGEST), { ...NOTHING, firstPushMs: 1000 });
    assert.deepEqual(await records.statistics(REPO, SECOND), { ...NOTHING, firstPushMs: 3000 });
    assert.deepEqual(await records.statistics(OTHER, DIGEST), { ...NOTHING, firstPushMs: 4000 });
    assert.deepEqual(
      [await records.tagSinceMs(REPO, v1), await records.tagSinceMs(REPO, latest)],
      [1000, 1000],
    );
    assert.equal(await records.tagSinceMs(OTHER, latest), 4000);
    assert.equal(await records.tagSinceMs(OTHER, v1), null);
  });

  recordsTest('hold pulls before and after the push of a digest', async ({ records }) => {
    await records.addPulls([{ repo: REPO, digest: DIGEST, pulls: 1, lastPullMs: 500 }]);
    await records.addPushes([{ repo: REPO, digest: DIGEST, tags: [], pushedMs: 1000 }]);
    await records.addPulls([{ repo: REPO, digest: DIGEST, pulls: 1, lastPullMs: 1500 }]);
    assert.deepEqual(await records.statistics(REPO, DIGEST), {
      ...NOTHING,
      pulls: 2,
      lastPullMs: 1500,
      firstPushMs: 1000,
    });
  });

  recordsTest('count the push of a manifest that was gone as its first one', async ({ records }) => {
    const push = { repo: REPO, digest: DIGEST, tags: [] };
    await records.addPushes([{ ...push, pushedMs: 1000, isNew: true }]);
    await records.addPushes([{ ...push, pushedMs: 2000, isNew: false }]);
    assert.equal((await records.statistics(REPO, DIGEST)).firstPushMs, 1000);
    await records.addPushes([{ ...push, pushedMs: 3000, isNew: true }]);
    assert.equal((await records.statistics(REPO, DIGEST)).firstPushMs, 3000);
  });

  recordsTest('know who made the first push of a digest', async ({ records }) => {
    const by = async (): Promise<string | null> => (await records.statistics(REPO, DIGEST)).pushedBy;
    const push = { repo: REPO, digest: DIGEST, tags: [] };
    await records.addPulls([{ repo: REPO, digest: DIGEST, pulls: 1, lastPullMs: 500 }]);
    await records.addPushes([{ ...push, pushedMs: 1000, by: 'ann' }]);
    await records.addPushes([{ ...push, pushedMs: 2000, by: 'bob' }]);
    assert.equal(await by(), 'ann');
    await records.addPushes([{ ...push, pushedMs: 3000, by: '', isNew: true }]);
    assert.equal(await by(), '');
    const earlier = { repo: REPO, digest: DIGEST, pulls: 0, lastPullMs: null };
    const takeOver = (firstPushMs: number, pushedBy: string | null): Promise<void> =>
      records.takeOver({ manifests: [{ ...earlier, firstPushMs, pushedBy }], tags: [] });
    await takeOver(4000, 'cid');
    assert.equal(await by(), '');
    await takeOver(500, null);
    assert.equal(await by(), null);
    await takeOver(500, 'dora');
    assert.equal(await by(), 'dora');
  });

  recordsTest('forget what is gone, and nothing else', async ({ records }) => {
    const pushes = [DIGEST, SECOND].map((digest) => ({ repo: REPO, digest, tags: [], pushedMs: 1000 }));
    await records.addPushes([...pushes, { repo: OTHER, digest: DIGEST, tags: [], pushedMs: 2000 }]);
    await records.forget([
      { repo: REPO, digest: DIGEST },
      { repo: OTHER, digest: SECOND },
    ]);
    assert.deepEqual(await records.statistics(REPO, DIGEST), NOTHING);
    assert.deepEqual(await records.statistics(REPO, SECOND), { ...NOTHING, firstPushMs: 1000 });
    assert.deepEqual(await records.statistics(OTHER, DIGEST), { ...NOTHING, firstPushMs: 2000 });
  });

  recordsTest('know when they were begun', async ({ records, reopen }) => {
    const beganMs = await records.beganMs();
    assert.ok(Math.abs(Date.now() - beganMs) < 30_000);
    assert.equal(await (await reopen()).beganMs(), beganMs);
  });

  recordsTest('outlive a restart', async ({ records, reopen }) => {
    const tag = parseTag('v1');
    await records.addPulls([{ repo: REPO, digest: DIGEST, pulls: 3, lastPullMs: 500 }]);
    await records.addPushes([{ repo: REPO, digest: DIGEST, tags: [tag], pushedMs: 1000 }]);
    const again = await reopen();
    assert.deepEqual(await again.statistics(REPO, DIGEST), {
      ...NOTHING,
      pulls: 3,
      lastPullMs: 500,
      firstPushMs: 1000,
    });
    assert.equal(await again.tagSinceMs(REPO, tag), 1000);
    await again.addPulls([{ repo: REPO, digest: DIGEST, pulls: 1, lastPullMs: 600 }]);
    assert.equal((await again.statistics(REPO, DIGEST)).pulls, 4);
  });
}
