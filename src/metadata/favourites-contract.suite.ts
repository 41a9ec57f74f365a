/** What every implementation of the lists of starred and bookmarked repositories must do, as a suite of node:test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { FavouriteList } from './favourites-contract.ts';
import type { OpenedRecords } from './records-contract.suite.ts';
import type { Records } from './records-contract.ts';

const APP = parseRepoName('team/app');
const BASE = parseRepoName('team/base');
const OTHER = parseRepoName('other');
const STARS: FavouriteList = { origin: 'ldap', username: 'ann', kind: 'star' };
const BOOKMARKS: FavouriteList = { ...STARS, kind: 'bookmark' };
/** Another person, by the same name. */
const NAMESAKE: FavouriteList = { ...STARS, origin: 'htpasswd' };
const ALL = { after: '', limit: 10_000 };

type Case = (title: string, work: (opened: OpenedRecords) => Promise<void>) => void;

/** Declares the suite. `open` gives empty records for each test. */
export function favouritesContract(name: string, open: () => Promise<OpenedRecords>): void {
  describe(`the ${name} records keep the contract of favourites`, () => {
    const favouritesTest: Case = (title, work) => {
      test(title, { timeout: 30_000 }, async () => {
        const opened = await open();
        try {
          await work(opened);
        } finally {
          await opened.close();
        }
      });
    };
    listCases(favouritesTest);
    moveCases(favouritesTest);
  });
}

function listCases(favouritesTest: Case): void {
  favouritesTest('keep stars and bookmarks of each user apart, also over a restart', async (opened) => {
    const { favourites } = opened.records;
    assert.deepEqual(await favourites.list(STARS, ALL), []);
    assert.equal(await favourites.add(STARS, [BASE, APP]), 2);
    assert.equal(await favourites.add(BOOKMARKS, [OTHER]), 1);
    const again = (await opened.reopen()).favourites;
    assert.deepEqual(await again.list(STARS, ALL), [APP, BASE]);
    assert.deepEqual(await again.list(BOOKMARKS, ALL), [OTHER]);
    assert.deepEqual(await again.list(NAMESAKE, ALL), []);
  });

  favouritesTest('count what is new, and keep what is there', async ({ records: { favourites } }) => {
    await favourites.add(STARS, [APP]);
    assert.equal(await favourites.add(STARS, [APP, BASE, APP]), 1);
    assert.deepEqual(await favourites.list(STARS, ALL), [APP, BASE]);
  });

  favouritesTest('take thousands at once, and list them in pages', async ({ records: { favourites } }) => {
    const names = Array.from({ length: 1200 }, (_, at) => parseRepoName(`r${String(at).padStart(4, '0')}`));
    assert.equal(await favourites.add(STARS, names), 1200);
    const seen: RepoName[] = [];
    for (let after = ''; ;) {
      const page = await favourites.list(STARS, { after, limit: 500 });
      seen.push(...page);
      const last = page.at(-1);
      if (last === undefined) break;
      after = last;
    }
    assert.deepEqual(seen, names);
  });
}

function moveCases(favouritesTest: Case): void {
  favouritesTest('go with a repository that is renamed', async ({ records }) => {
    await records.favourites.add(STARS, [APP, OTHER]);
    await records.favourites.add(BOOKMARKS, [APP]);
    // Of an earlier life of the new name.
    await records.favourites.add(NAMESAKE, [BASE]);
    await rename(records, APP, BASE);
    assert.deepEqual(await records.favourites.list(STARS, ALL), [OTHER, BASE]);
    assert.deepEqual(await records.favourites.list(BOOKMARKS, ALL), [BASE]);
    assert.deepEqual(await records.favourites.list(NAMESAKE, ALL), []);
  });

  favouritesTest('end with a repository that is removed, however many have it', async ({ records }) => {
    for (let at = 0; at < 600; at += 1)
      await records.favourites.add({ ...STARS, username: `user${at}` }, [APP, OTHER]);
    await records.moves.forgetRecords(APP);
    for (const username of ['user0', 'user599'])
      assert.deepEqual(await records.favourites.list({ ...STARS, username }, ALL), [OTHER]);
  });
}

async function rename({ moves }: Records, repo: RepoName, target: RepoName): Promise<void> {
  await moves.begin({ repo, target, version: '1' });
  await moves.moveRecords(repo, target);
  await moves.end(repo);
}
