import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { openRecords } from '#metadata';
import type { Records } from '#metadata';
import { digestOf } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import { RecordJournal } from './record-journal.ts';

const repo = parseRepoName('team/app');
const digest = digestOf(Buffer.from('manifest'));

async function withJournal(
  work: (journal: RecordJournal, records: Records, problems: string[]) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-journal-'));
  const records = openRecords(folder);
  const problems: string[] = [];
  try {
    await work(new RecordJournal(records, (problem) => void problems.push(problem)), records, problems);
  } finally {
    await records.close().catch(() => undefined);
    await rm(folder, { recursive: true });
  }
}

const push = (pushedMs: number, isNew: boolean) => ({ repo, digest, tags: [], pushedMs, isNew });

describe('the journal of the records', { timeout: 30_000 }, () => {
  test('writes pushes and removals in their order', () =>
    withJournal(async (journal, records) => {
      journal.addPush(push(1000, true));
      journal.addRemoval({ repo, digest });
      journal.addPush(push(2000, false));
      await journal.flush();
      assert.equal((await records.statistics(repo, digest)).firstPushMs, 2000);
      journal.addPush(push(3000, true));
      journal.addRemoval({ repo, digest });
      await journal.flush();
      assert.equal((await records.statistics(repo, digest)).firstPushMs, null);
    }));

  test('has written all that was there when a flush was asked for, however many are under way', () =>
    withJournal(async (journal, records) => {
      const flushes: Promise<number>[] = [];
      for (let pulls = 1; pulls <= 5; pulls += 1) {
        journal.addPulls([{ repo, digest, pulls: 1, lastPullMs: pulls }]);
        flushes.push(journal.flush().then(async () => (await records.statistics(repo, digest)).pulls));
      }
      for (const [at, found] of (await Promise.all(flushes)).entries()) assert.ok(found > at);
    }));

  test('loses counts rather than growing when they cannot be written, and says so', () =>
    withJournal(async (journal, records, problems) => {
      await records.close();
      journal.addPush(push(1000, true));
      await journal.flush();
      assert.match(problems.join(), /^statistics could not be written/);
      await journal.flush();
      assert.equal(problems.length, 1);
    }));
});
