/** What every list of damage must do, that of the index as that of the records, as a suite of node:test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '#oci/digest';
import { storedTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { DamageList, DamagePlace, DamageReader, DamageRow } from './damage-contract.ts';
import type { OpenedIndex } from './index-contract.suite.ts';
import { OTHER, REPO, change, digestOfText, entry, image } from './index-samples.suite.ts';

export interface OpenedDamage {
  readonly damage: DamageList;
  /** Another connection, as a serving process has one. */
  readonly reader: DamageReader;
  /** Closes the database and opens it again, as a restart does. */
  readonly reopen: () => Promise<DamageList>;
  close(): Promise<void>;
}

const one = image('one');
const first = { after: '', limit: 1000 };
const byTag = (text: string) => ({ kind: 'tag', tag: storedTag(text) }) as const;
const byDigest = (digest: Digest) => ({ kind: 'digest', digest }) as const;
const ONE = digestOfText('one');
const TWO = digestOfText('two');

const row = (repo: RepoName, digest: Digest, more: Partial<DamageRow> = {}): DamageRow => ({
  repo,
  digest,
  kind: 'wrong-digest',
  version: '12-1700000000000-9-77',
  detail: 'they have another digest',
  foundMs: 1_700_000_000_000,
  ...more,
});

/** Declares the suite. `open` gives an empty list for each test. */
export function damageContract(name: string, open: () => Promise<OpenedDamage>): void {
  describe(`the damage in the ${name} keeps the contract of damage`, () => {
    const damageTest = (title: string, work: (opened: OpenedDamage) => Promise<void>): void => {
      test(title, { timeout: 30_000 }, async () => {
        const opened = await open();
        try {
          await work(opened);
        } finally {
          await opened.close();
        }
      });
    };

    damageTest('is found by every connection at once, in its own repository only', async (opened) => {
      const { damage, reader } = opened;
      assert.equal(await reader.findDamage(REPO, ONE), null);
      await damage.addDamage([row(REPO, ONE), row(OTHER, TWO, { kind: 'missing', version: '' })]);
      for (const connection of [damage, reader]) {
        assert.deepEqual(await connection.findDamage(REPO, ONE), row(REPO, ONE));
        assert.equal((await connection.findDamage(OTHER, TWO))?.kind, 'missing');
        assert.equal(await connection.findDamage(REPO, TWO), null);
      }
    });

    damageTest('that is noted again is known as it was found last', async ({ damage }) => {
      await damage.addDamage([row(REPO, ONE)]);
      const again = row(REPO, ONE, { kind: 'unreadable', version: '1-2-3', detail: 'EIO', foundMs: 9 });
      await damage.addDamage([again]);
      assert.deepEqual(await damage.listDamage({ after: null, limit: 10 }), [again]);
    });

    damageTest('outlives a restart until it is taken off', async ({ damage, reopen }) => {
      await damage.addDamage([row(REPO, ONE), row(REPO, TWO), row(OTHER, ONE)]);
      await damage.removeDamage(REPO, [ONE, digestOfText('never noted')]);
      const again = await reopen();
      assert.deepEqual(await again.listDamage({ after: null, limit: 10 }), [row(OTHER, ONE), row(REPO, TWO)]);
      await again.removeDamage(OTHER, []);
      assert.equal((await again.listDamage({ after: null, limit: 10 })).length, 2);
    });

    damageTest('is listed page by page, each once, all of it or that of one digest', async ({ damage }) => {
      const repos = Array.from({ length: 30 }, (_, at) =>
        parseRepoName(`team/r${String(at).padStart(2, '0')}`),
      );
      const rows = repos.flatMap((repo) => [row(repo, ONE), row(repo, TWO)]);
      await damage.addDamage(rows.toReversed());
      const found: DamageRow[] = [];
      for (let after: DamagePlace | null = null; ;) {
        const page: DamageRow[] = await damage.listDamage({ after, limit: 7 });
        found.push(...page);
        after = page.at(-1) ?? null;
        if (after === null) break;
      }
      assert.equal(found.length, 60);
      assert.deepEqual([...new Set(found.map(({ repo }) => repo))], repos);
      assert.equal(new Set(found.map(({ repo, digest }) => `${repo} ${digest}`)).size, 60);
      const copies: RepoName[] = [];
      for (let after: RepoName | '' = ''; ;) {
        const page: DamageRow[] = await damage.listDamagedCopies(TWO, { after, limit: 7 });
        copies.push(...page.map(({ repo }) => repo));
        assert.ok(page.every(({ digest }) => digest === TWO));
        const last: DamageRow | undefined = page.at(-1);
        if (last === undefined) break;
        after = last.repo;
      }
      assert.deepEqual(copies, repos);
      assert.deepEqual(await damage.listDamagedCopies(digestOfText('sound'), { after: '', limit: 7 }), []);
    });
  });
}

/** Declares the suite of damage as the look-ups of an index know it. `open` gives an empty index for each test. */
export function damagedIndexContract(name: string, open: () => Promise<OpenedIndex>): void {
  describe(`the ${name} index keeps the contract of damage`, () => {
    const indexTest = (title: string, work: (index: OpenedIndex) => Promise<void>): void => {
      test(title, { timeout: 30_000 }, async () => {
        const index = await open();
        try {
          await work(index);
        } finally {
          await index.close();
        }
      });
    };

    indexTest('knows damaged content by the look-up that finds it, until it is mended', async (index) => {
      const { writer } = index;
      const reader = await index.openReader();
      const signature = image('signature', { subject: one.digest });
      await writer.applyChanges([
        change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one, signature] }),
      ]);
      const found = { kind: 'wrong-digest', version: '1-2-3', detail: 'flipped', foundMs: 5 } as const;
      const row = (digest: Digest) => ({ repo: REPO, digest, ...found });
      const layer = digestOfText('layer of one');
      await writer.addDamage([row(one.digest), row(signature.digest), row(layer)]);
      const all = { ...first, artifactTypes: [] };
      for (const connection of [writer, reader]) {
        assert.equal((await connection.findManifest(REPO, byTag('v1')))?.isDamaged, true);
        assert.equal((await connection.findManifest(REPO, byDigest(one.digest)))?.isDamaged, true);
        assert.deepEqual(await connection.listReferrers(REPO, one.digest, all), []);
        assert.equal(await connection.whyAbsent(REPO, layer), 'damaged');
        assert.equal(await connection.whyAbsent(OTHER, layer), null);
        assert.equal(await connection.isTombstoned(REPO, layer), false);
      }
      const tombstone = { repo: REPO, digest: layer, sinceMs: 1, modifiedMs: 1 };
      await writer.addTombstones([tombstone]);
      assert.equal(await reader.whyAbsent(REPO, layer), 'tombstoned');
      await writer.removeTombstones(REPO, [layer]);
      await writer.removeDamage(REPO, [one.digest, signature.digest, layer]);
      assert.ok(!('isDamaged' in ((await reader.findManifest(REPO, byTag('v1'))) ?? {})));
      assert.equal((await reader.listReferrers(REPO, one.digest, all)).length, 1);
      assert.equal(await reader.whyAbsent(REPO, layer), null);
    });

    indexTest('lists what a repository holds or needs, page by page, each once', async ({ writer }) => {
      const missing = image('missing');
      const loose = digestOfText('loose');
      await writer.addBlobs(REPO, [{ digest: loose, sizeBytes: 5 }]);
      assert.deepEqual(await writer.listContents(REPO, first), [loose]);
      const layer = digestOfText('layer of one');
      await writer.addBlobs(REPO, [{ digest: layer, sizeBytes: 5 }]);
      await writer.addBlobs(OTHER, [{ digest: digestOfText('elsewhere'), sizeBytes: 9 }]);
      const addedEntries = [entry(0, one, 'v1'), entry(1, one, 'v2'), entry(2, missing, 'gone')];
      await writer.applyChanges([change({ addedEntries, addedManifests: [one, image('two')] })]);
      const found: Digest[] = [];
      for (let after = ''; ;) {
        const page = await writer.listContents(REPO, { after, limit: 2 });
        found.push(...page);
        const last = page.at(-1);
        if (last === undefined) break;
        after = last;
      }
      const texts = ['layer of one', 'config of one', 'layer of two', 'config of two', 'loose'];
      const all = [...texts.map(digestOfText), one.digest, image('two').digest, missing.digest];
      assert.deepEqual(found, all.toSorted());
    });

    indexTest('pages through the repositories that hold a blob', async ({ writer }) => {
      const blob = { digest: digestOfText('shared'), sizeBytes: 6 };
      const names = ['a', 'a/b', 'b', 'c'].map(parseRepoName);
      for (const repo of names.toReversed()) await writer.addBlobs(repo, [blob]);
      assert.deepEqual(await writer.listBlobHolders(blob.digest, { after: '', limit: 3 }), names.slice(0, 3));
      assert.deepEqual(await writer.listBlobHolders(blob.digest, { after: 'b', limit: 3 }), names.slice(3));
    });
  });
}
