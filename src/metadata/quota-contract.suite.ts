/** What every implementation of the index must count for quotas, as a suite of node:test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { parseRepoPrefix } from '#oci/repo-prefix';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { IndexWriter } from './index-contract.ts';
import type { OpenedIndex } from './index-contract.suite.ts';
import { digestOfText, snapshot } from './index-samples.suite.ts';

const A = digestOfText('a');
const B = digestOfText('b');
const TEAM = parseRepoName('team');
const APP = parseRepoName('team/app');
const WEB = parseRepoName('team/web');
const OTHER = parseRepoName('team-2/app');

function prefixes(...texts: readonly string[]): RepoPrefix[] {
  return texts.map((text) => {
    const prefix = parseRepoPrefix(text);
    assert.ok(prefix !== null);
    return prefix;
  });
}

async function usage(index: IndexWriter): Promise<Record<string, number>> {
  const rows = await index.listPrefixUsage();
  return Object.fromEntries(rows.map(({ prefix, usedBytes }) => [prefix, usedBytes]));
}

const add = (index: IndexWriter, repo: RepoName, digest: Digest, sizeBytes: number): Promise<void> =>
  index.addBlobs(repo, [{ digest, sizeBytes }]);

/** Declares the suite. `open` gives an empty index for each test. */
export function quotaContract(name: string, open: () => Promise<OpenedIndex>): void {
  describe(`the ${name} index keeps the contract of quotas`, () => {
    const quotaTest = (title: string, work: (index: IndexWriter) => Promise<void>): void => {
      test(title, { timeout: 30_000 }, async () => {
        const opened = await open();
        try {
          await work(opened.writer);
        } finally {
          await opened.close();
        }
      });
    };

    quotaTest('counts each digest once for each prefix, by whole components', async (index) => {
      await index.setCountedPrefixes(prefixes('', 'team', 'team/app'));
      for (const repo of [TEAM, APP, WEB, OTHER]) await add(index, repo, A, 10);
      await index.recordBlob(WEB, { digest: B, sizeBytes: 5 }, 1000);
      assert.deepEqual(await usage(index), { '': 15, team: 15, 'team/app': 10 });
      await index.removeBlobs(APP, [A, B]);
      assert.deepEqual(await usage(index), { '': 15, team: 15, 'team/app': 0 });
      await index.removeBlobs(TEAM, [A]);
      await index.removeBlobs(WEB, [A]);
      assert.deepEqual(await usage(index), { '': 15, team: 5, 'team/app': 0 });
      const [team] = prefixes('team');
      assert.ok(team !== undefined);
      assert.equal(await index.isUnderPrefix(team, A), false);
      assert.equal(await index.isUnderPrefix(team, B), true);
      assert.equal(await index.prefixUsedBytes(team), 5);
    });

    quotaTest('counts what was there before, and forgets what is counted no more', async (index) => {
      for (let at = 0; at < 1200; at += 1)
        await add(index, at % 2 === 0 ? APP : WEB, digestOfText(`${at}`), 1);
      await add(index, OTHER, A, 100);
      await index.setCountedPrefixes(prefixes('team', 'team/app', ''));
      assert.deepEqual(await usage(index), { '': 1300, team: 1200, 'team/app': 600 });
      await index.setCountedPrefixes(prefixes('team/web'));
      assert.deepEqual(await usage(index), { 'team/web': 600 });
      await index.setCountedPrefixes(prefixes('team/web', 'team'));
      assert.deepEqual(await usage(index), { team: 1200, 'team/web': 600 });
      await index.setCountedPrefixes([]);
      assert.deepEqual(await index.listPrefixUsage(), []);
    });

    quotaTest('counts changes that come while it counts', async (index) => {
      for (let at = 0; at < 3000; at += 1) await add(index, APP, digestOfText(`${at}`), 1);
      const counting = index.setCountedPrefixes(prefixes('team'));
      for (let at = 0; at < 40; at += 1) {
        await index.removeBlobs(APP, [digestOfText(`${at}`)]);
        await add(index, at % 2 === 0 ? TEAM : WEB, digestOfText(`new ${at}`), 1);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await counting;
      assert.deepEqual(await usage(index), { team: 3000 });
    });

    quotaTest('follows sizes that change, and places that disagree', async (index) => {
      await index.setCountedPrefixes(prefixes('team'));
      await add(index, APP, A, 10);
      await add(index, APP, A, 30);
      assert.deepEqual(await usage(index), { team: 30 });
      await add(index, WEB, A, 20);
      assert.deepEqual(await usage(index), { team: 30 });
      await index.removeBlobs(APP, [A]);
      assert.deepEqual(await usage(index), { team: 20 });
      await add(index, APP, A, 20);
      await index.removeBlobs(WEB, [A]);
      assert.deepEqual(await usage(index), { team: 20 });
    });

    quotaTest('counts no more what a repository held that is gone', async (index) => {
      await index.setCountedPrefixes(prefixes('team'));
      await index.replaceRepository({ ...snapshot({}), repo: APP, blobs: [{ digest: A, sizeBytes: 7 }] });
      for (let at = 0; at < 1100; at += 1) await add(index, APP, digestOfText(`${at}`), 1);
      assert.deepEqual(await usage(index), { team: 1107 });
      await index.removeRepository(APP);
      assert.deepEqual(await usage(index), { team: 0 });
    });

    quotaTest('notes how far counts can be trusted', async (index) => {
      await index.setCountedPrefixes(prefixes('team', ''));
      const certainties = async () => (await index.listPrefixUsage()).map(({ certainty }) => certainty);
      assert.deepEqual(await certainties(), ['new', 'new']);
      await index.setCertainty(prefixes('team'), 'compared');
      assert.deepEqual(await certainties(), ['new', 'compared']);
    });

    quotaTest('lists blobs and the repositories that have them', async (index) => {
      for (const repo of [TEAM, APP, OTHER]) await add(index, repo, A, 10);
      await add(index, APP, B, 20);
      const [all, team] = prefixes('', 'team');
      assert.ok(all !== undefined && team !== undefined);
      assert.equal(await index.nextBlobRepository(team, ''), TEAM);
      assert.equal(await index.nextBlobRepository(team, TEAM), APP);
      assert.equal(await index.nextBlobRepository(team, APP), null);
      assert.equal(await index.nextBlobRepository(all, TEAM), OTHER);
      const listed = await index.listBlobs(APP, { after: '', limit: 1 });
      const rest = await index.listBlobs(APP, { after: listed[0]?.digest ?? '', limit: 5 });
      assert.deepEqual([...listed, ...rest].map(({ digest }) => digest).toSorted(), [A, B].toSorted());
    });
  });
}
