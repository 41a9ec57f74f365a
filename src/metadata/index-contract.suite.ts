/**
 * What every implementation of the index must do, as a suite of node:test. `open` gives an empty index for each test;
 * its readers stand in for those of other processes.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '#oci/digest';
import { OCI_CONFIG, OCI_MANIFEST } from '#oci/media-types';
import { storedTag } from '#oci/reference';
import type { Tag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type {
  HolderRow,
  IndexReader,
  IndexWriter,
  NewManifest,
  RepositorySnapshot,
} from './index-contract.ts';
import {
  LAYER,
  OTHER,
  REPO,
  change,
  digestOfText,
  entry,
  image,
  imageIndex,
  snapshot,
  state,
} from './index-samples.suite.ts';

export interface OpenedIndex {
  readonly writer: IndexWriter;
  /** Another connection, as a serving process has one; it is closed with the rest. */
  readonly openReader: () => Promise<IndexReader>;
  close(): Promise<void>;
}

const one = image('one');
const two = image('two');
const first = { after: '', limit: 1000 };
const byTag = (text: string) => ({ kind: 'tag', tag: storedTag(text) }) as const;
const byDigest = (digest: Digest) => ({ kind: 'digest', digest }) as const;

type Case = (title: string, work: (index: OpenedIndex) => Promise<void>) => void;

/** Declares the suite. `open` gives an empty index. */
export function indexContract(name: string, open: () => Promise<OpenedIndex>): void {
  describe(`the ${name} index keeps the contract of the index`, () => {
    const indexTest: Case = (title, work) => {
      test(title, { timeout: 60_000 }, async () => {
        const index = await open();
        try {
          await work(index);
        } finally {
          await index.close();
        }
      });
    };
    lookUpCases(indexTest);
    changeCases(indexTest);
    pageCases(indexTest);
    referrerCases(indexTest);
    blobCases(indexTest);
    replaceCases(indexTest);
    holderCases(indexTest);
    removeCases(indexTest);
  });
}

function lookUpCases(indexTest: Case): void {
  indexTest('knows nothing of a repository that nobody told it of', async ({ writer, openReader }) => {
    for (const index of [writer, await openReader()]) {
      await index.probe();
      assert.equal(await index.findRepository(REPO), null);
      assert.equal(await index.findManifest(REPO, byTag('v1')), null);
      assert.equal(await index.findManifest(REPO, byDigest(one.digest)), null);
      assert.equal(await index.findBlob(REPO, one.digest), null);
      assert.equal(await index.findBlobMediaType(REPO, one.digest), null);
      assert.deepEqual(await index.listBlobHolders(one.digest, { after: '', limit: 10 }), []);
      assert.deepEqual(await index.listTags(REPO, first), []);
      assert.deepEqual(await index.listRepositories(first), []);
      assert.deepEqual(await index.listReferrers(REPO, one.digest, { ...first, artifactTypes: [] }), []);
    }
    assert.deepEqual(await writer.findEntries(REPO, byTag('v1')), []);
    assert.deepEqual(await writer.listEntries(REPO, { afterPosition: -1, limit: 10 }), []);
    assert.deepEqual(await writer.listReferences(REPO, one.digest), []);
    assert.deepEqual(await writer.listReferencing(REPO, one.digest, { roles: ['layer'], limit: 10 }), []);
    assert.deepEqual(await writer.listKnownRepositories(first), []);
  });

  indexTest('finds a pushed manifest by tag and by digest, in every connection, at once', async (index) => {
    const reader = await index.openReader();
    const entries = [entry(0, one, 'v1'), entry(1, two, null)];
    await index.writer.applyChanges([change({ addedEntries: entries, addedManifests: [one, two] })]);
    const { digest, mediaType, sizeBytes } = one;
    for (const connection of [index.writer, reader]) {
      assert.deepEqual(await connection.findManifest(REPO, byTag('v1')), { digest, mediaType, sizeBytes });
      assert.deepEqual(await connection.findManifest(REPO, byDigest(digest)), {
        digest,
        mediaType,
        sizeBytes,
      });
      assert.equal((await connection.findManifest(REPO, byDigest(two.digest)))?.digest, two.digest);
      assert.equal(await connection.findManifest(REPO, byTag('v2')), null);
      assert.equal(await connection.findManifest(OTHER, byTag('v1')), null);
      assert.equal(await connection.findBlobMediaType(REPO, digestOfText('layer of one')), LAYER);
      assert.equal(await connection.findBlobMediaType(REPO, digestOfText('config of two')), OCI_CONFIG);
      assert.equal(await connection.findBlobMediaType(OTHER, digestOfText('layer of one')), null);
    }
    assert.deepEqual(await index.writer.findEntries(REPO, byTag('v1')), [entries[0]]);
    assert.deepEqual(await index.writer.findEntries(REPO, byDigest(two.digest)), [entries[1]]);
    assert.deepEqual(await index.writer.listEntries(REPO, { afterPosition: -1, limit: 10 }), entries);
    assert.deepEqual(await index.writer.listEntries(REPO, { afterPosition: 0, limit: 10 }), [entries[1]]);
    assert.deepEqual(await index.writer.listEntries(REPO, { afterPosition: -1, limit: 1 }), [entries[0]]);
  });

  indexTest('knows what a manifest refers to, and what refers to something', async ({ writer }) => {
    const shared = image('shared', { layers: ['base', 'base', 'top'] });
    const other = image('other', { layers: ['base'] });
    const both = imageIndex([shared, other]);
    await writer.applyChanges([change({ addedManifests: [shared, other, both] })]);
    const references = await writer.listReferences(REPO, shared.digest);
    assert.deepEqual(
      references.map(({ digest, role, mediaType }) => `${role} ${digest} ${mediaType}`).toSorted(),
      [
        `config ${digestOfText('config of shared')} ${OCI_CONFIG}`,
        `layer ${digestOfText('base')} ${LAYER}`,
        `layer ${digestOfText('top')} ${LAYER}`,
      ].toSorted(),
    );
    const referencing = async (text: Digest, roles: ('config' | 'layer' | 'child')[], limit = 10) =>
      (await writer.listReferencing(REPO, text, { roles, limit })).toSorted();
    assert.deepEqual(
      await referencing(digestOfText('base'), ['layer', 'config']),
      [shared.digest, other.digest].toSorted(),
    );
    assert.equal((await referencing(digestOfText('base'), ['layer'], 1)).length, 1);
    assert.deepEqual(await referencing(digestOfText('base'), ['child', 'config']), []);
    assert.deepEqual(await referencing(shared.digest, ['child']), [both.digest]);
    assert.deepEqual(await referencing(shared.digest, []), []);
  });

  indexTest('keeps a tag of any text, and any text of a descriptor', async ({ writer, openReader }) => {
    const odd = [
      'docker.io/library/debian:12',
      'a b',
      "it's",
      '"',
      '\\',
      'a\0b',
      'ü',
      '\u{1f40b}',
      '%',
      '*',
      '_',
      'x'.repeat(5000),
    ];
    const addedEntries = odd.map((tag, at) => ({
      ...entry(at, one, tag),
      json: JSON.stringify({ note: tag }),
    }));
    await writer.applyChanges([change({ addedEntries, addedManifests: [one] })]);
    const reader = await openReader();
    for (const [at, tag] of odd.entries()) {
      assert.equal((await reader.findManifest(REPO, byTag(tag)))?.digest, one.digest, JSON.stringify(tag));
      assert.deepEqual(await writer.findEntries(REPO, byTag(tag)), [addedEntries[at]]);
    }
    assert.deepEqual(await reader.listTags(REPO, first), odd.map(storedTag).toSorted(byBytes));
  });
}

function changeCases(indexTest: Case): void {
  indexTest(
    'keeps the state of a repository as it was given, and changes it alone',
    async ({ writer, openReader }) => {
      const odd = state('20-17-1700000000123456789-1', {
        doubtfulUntilMs: Date.now(),
        head: '{"schemaVersion":2,"annotations":{"ü":"\\u2028"}',
        unreadable: ['{"size":-1}', '"text"'],
        problem: 'it is not JSON',
      });
      await writer.applyChanges([
        change({ state: odd, addedEntries: [entry(0, one, 'v1')], addedManifests: [one] }),
      ]);
      const reader = await openReader();
      assert.deepEqual(await reader.findRepository(REPO), odd);
      await writer.setState(REPO, state('2'));
      assert.deepEqual(await reader.findRepository(REPO), state('2'));
      assert.equal((await reader.findManifest(REPO, byTag('v1')))?.digest, one.digest);
      await writer.setState(OTHER, state('3'));
      assert.equal(await reader.findRepository(OTHER), null);
    },
  );

  indexTest('moves a tag and drops a manifest within one change', async ({ writer, openReader }) => {
    const reader = await openReader();
    await writer.applyChanges([change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one] })]);
    const moved = change({
      state: state('2'),
      removedPositions: [0],
      addedEntries: [entry(1, two, 'v1')],
      removedManifests: [one.digest],
      addedManifests: [two],
    });
    await writer.applyChanges([moved]);
    assert.equal((await reader.findManifest(REPO, byTag('v1')))?.digest, two.digest);
    assert.equal(await reader.findManifest(REPO, byDigest(one.digest)), null);
    assert.equal(await reader.findBlobMediaType(REPO, digestOfText('layer of one')), null);
    assert.deepEqual(await writer.listReferences(REPO, one.digest), []);
    assert.deepEqual(await reader.listTags(REPO, first), ['v1']);
  });

  indexTest('lets the first descriptor that claims a tag have it', async ({ writer, openReader }) => {
    const reader = await openReader();
    const addedEntries = [entry(5, two, 'v1'), entry(3, one, 'v1'), entry(9, two, 'v1')];
    await writer.applyChanges([change({ addedEntries, addedManifests: [one, two] })]);
    assert.equal((await reader.findManifest(REPO, byTag('v1')))?.digest, one.digest);
    assert.deepEqual(await reader.listTags(REPO, first), ['v1']);
    const entries = await writer.findEntries(REPO, byTag('v1'));
    assert.deepEqual(
      entries.map(({ position }) => position),
      [3, 5, 9],
    );
    assert.deepEqual(
      (await writer.findEntries(REPO, byDigest(two.digest))).map(({ position }) => position),
      [5, 9],
    );
    await writer.applyChanges([change({ removedPositions: [3] })]);
    assert.equal((await reader.findManifest(REPO, byTag('v1')))?.digest, two.digest);
  });

  indexTest(
    'commits the changes of several repositories together, or none of them',
    async ({ writer, openReader }) => {
      const reader = await openReader();
      const sound = change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one] });
      await writer.applyChanges([sound, { ...sound, repo: OTHER }]);
      assert.deepEqual(await reader.listRepositories(first), [OTHER, REPO]);
      const moved = change({
        state: state('2'),
        removedPositions: [0],
        addedEntries: [entry(1, two, 'v2')],
        addedManifests: [two],
      });
      const clash = change({
        repo: OTHER,
        state: state('2'),
        addedEntries: [entry(0, two, 'v2')],
        addedManifests: [two],
      });
      await assert.rejects(writer.applyChanges([moved, clash]));
      for (const repo of [REPO, OTHER]) {
        assert.deepEqual(await reader.findRepository(repo), state('1'));
        assert.deepEqual(await reader.listTags(repo, first), ['v1']);
        assert.equal(await reader.findManifest(repo, byDigest(two.digest)), null);
      }
      await writer.applyChanges([moved]);
      assert.deepEqual(await reader.listTags(REPO, first), ['v2']);
    },
  );

  indexTest(
    'takes a manifest that is read anew in place of the old reading',
    async ({ writer, openReader }) => {
      const reader = await openReader();
      await writer.applyChanges([change({ addedManifests: [one] })]);
      const unread: NewManifest = { ...one, mediaType: 'application/x', projection: null };
      await writer.applyChanges([change({ addedManifests: [unread] })]);
      assert.equal((await reader.findManifest(REPO, byDigest(one.digest)))?.mediaType, 'application/x');
      assert.deepEqual(await writer.listReferences(REPO, one.digest), []);
      await writer.applyChanges([change({ addedManifests: [one, one] })]);
      assert.equal((await writer.listReferences(REPO, one.digest)).length, 2);
    },
  );
}

function pageCases(indexTest: Case): void {
  indexTest(
    'lists tags in byte order, page by page, also behind a tag that is not there',
    async ({ writer, openReader }) => {
      const reader = await openReader();
      const tags = [
        'latest',
        'v1',
        'V1',
        'v10',
        'v2',
        '_',
        '0',
        'a-b',
        'a.b',
        'aB',
        '\u{ffff}',
        '\u{10000}',
        'z'.repeat(128),
      ];
      const addedEntries = [...tags, null, null].map((tag, at) => entry(at, one, tag));
      await writer.applyChanges([change({ addedEntries, addedManifests: [one] })]);
      const sorted = tags.map(storedTag).toSorted(byBytes);
      for (const limit of [1, 2, 5, 13, 14]) {
        const found: Tag[] = [];
        for (let after = ''; ;) {
          const page = await reader.listTags(REPO, { after, limit });
          found.push(...page);
          after = page.at(-1) ?? '';
          if (page.length < limit) break;
        }
        assert.deepEqual(found, sorted, `pages of ${limit}`);
      }
      assert.deepEqual(await reader.listTags(REPO, { after: 'v11', limit: 1 }), ['v2']);
      assert.deepEqual(await reader.listTags(REPO, { after: '\u{10ffff}', limit: 5 }), []);
      assert.deepEqual(await reader.listTags(REPO, { after: '', limit: 0 }), []);
    },
  );

  indexTest(
    'lists repositories in byte order, those without descriptors only as known',
    async ({ writer, openReader }) => {
      const reader = await openReader();
      const names = ['a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'ab', 'b', '0'].map(parseRepoName);
      const empty = parseRepoName('a/empty');
      for (const repo of names) {
        await writer.applyChanges([
          change({ repo, addedEntries: [entry(0, one, 'v1')], addedManifests: [one] }),
        ]);
      }
      await writer.applyChanges([change({ repo: empty })]);
      const sorted = names.toSorted(byBytes);
      assert.deepEqual(await reader.listRepositories(first), sorted);
      assert.deepEqual(await reader.listRepositories({ after: 'a-b', limit: 2 }), ['a.b', 'a/b']);
      assert.deepEqual(await writer.listKnownRepositories(first), [...sorted, empty].toSorted(byBytes));
      assert.deepEqual(await writer.listKnownRepositories({ after: 'a/b/c', limit: 1 }), [empty]);
      // A position that is not there takes nothing from the count.
      await writer.applyChanges([change({ repo: parseRepoName('b'), removedPositions: [7] })]);
      assert.ok((await reader.listRepositories(first)).includes(parseRepoName('b')));
      await writer.applyChanges([change({ repo: parseRepoName('b'), removedPositions: [0] })]);
      assert.ok(!(await reader.listRepositories(first)).includes(parseRepoName('b')));
      assert.ok((await writer.listKnownRepositories(first)).includes(parseRepoName('b')));
    },
  );
}

function referrerCases(indexTest: Case): void {
  indexTest('lists referrers in digest order, page by page and by types', async ({ writer, openReader }) => {
    const reader = await openReader();
    const subject = one.digest;
    const types = ['application/sbom', 'application/signature', undefined];
    const referrers = Array.from({ length: 9 }, (_, at) => {
      const artifactType = types[at % 3];
      return image(`referrer ${at}`, {
        subject,
        annotations: { at: `${at}` },
        ...(artifactType ? { artifactType } : {}),
      });
    });
    const elsewhere = image('elsewhere', { subject: two.digest });
    await writer.applyChanges([
      change({ addedManifests: [one, elsewhere, ...referrers] }),
      change({ repo: OTHER, addedManifests: [image('other', { subject })] }),
    ]);
    const sorted = referrers.map(({ digest }) => digest).toSorted(byBytes);
    const list = async (after: string, limit: number, artifactTypes: string[] = []): Promise<Digest[]> =>
      (await reader.listReferrers(REPO, subject, { after, limit, artifactTypes })).map(
        ({ digest }) => digest,
      );
    assert.deepEqual(await list('', 100), sorted);
    assert.deepEqual(await list('', 4), sorted.slice(0, 4));
    assert.deepEqual(await list(sorted[3] ?? '', 4), sorted.slice(4, 8));
    assert.deepEqual(await list(sorted[8] ?? '', 4), []);
    assert.equal((await list('', 100, ['application/sbom'])).length, 3);
    assert.equal((await list('', 100, ['application/sbom', OCI_CONFIG, 'none'])).length, 6);
    assert.deepEqual(await list('', 100, ['none', "it's"]), []);
    const [row] = await reader.listReferrers(REPO, subject, {
      ...first,
      artifactTypes: ['application/sbom'],
    });
    const source = referrers.find(({ digest }) => digest === row?.digest);
    assert.deepEqual(row, {
      digest: source?.digest,
      mediaType: OCI_MANIFEST,
      sizeBytes: source?.sizeBytes,
      artifactType: 'application/sbom',
      annotations: source?.projection?.annotations,
    });
  });

  indexTest('ends a page of referrers early when their texts pass a size', async ({ writer }) => {
    const subject = one.digest;
    const referrers = Array.from({ length: 5 }, (_, at) =>
      image(`large ${at}`, { subject, artifactType: 't'.repeat(500), annotations: { pad: 'x'.repeat(500) } }),
    );
    await writer.applyChanges([change({ addedManifests: [one, ...referrers] })]);
    const sorted = referrers.map(({ digest }) => digest).toSorted(byBytes);
    const list = async (bytesMax: number, after = ''): Promise<Digest[]> =>
      (await writer.listReferrers(REPO, subject, { after, limit: 4, artifactTypes: [], bytesMax })).map(
        ({ digest }) => digest,
      );
    assert.deepEqual(await list(0), sorted.slice(0, 1));
    assert.deepEqual(await list(1500, sorted[0]), sorted.slice(1, 3));
    assert.deepEqual(await list(100_000), sorted.slice(0, 4));
    assert.deepEqual(await writer.listReferrerDigests(REPO, subject, { after: sorted[1] ?? '', limit: 2 }), [
      sorted[2],
      sorted[3],
    ]);
    assert.deepEqual(await writer.listReferrerDigests(REPO, two.digest, first), []);
  });

  indexTest(
    'never lists a manifest as its own referrer, and needs no subject to be there',
    async ({ writer }) => {
      const projection = one.projection && { ...one.projection, subject: one.digest };
      await writer.applyChanges([
        change({ addedManifests: [{ ...one, projection }, image('early', { subject: two.digest })] }),
      ]);
      assert.deepEqual(await writer.listReferrers(REPO, one.digest, { ...first, artifactTypes: [] }), []);
      const [early] = await writer.listReferrers(REPO, two.digest, { ...first, artifactTypes: [] });
      assert.deepEqual([early?.artifactType, early?.annotations], [OCI_CONFIG, null]);
    },
  );
}

function blobCases(indexTest: Case): void {
  indexTest(
    'knows blobs also before their repository is there, and who holds them',
    async ({ writer, openReader }) => {
      const reader = await openReader();
      const blob = { digest: digestOfText('blob'), sizeBytes: 2 ** 40 };
      const [leaving, ...staying] = [REPO, OTHER, parseRepoName('b/a')] as const;
      const names = [leaving, ...staying];
      for (const repo of names)
        await writer.addBlobs(repo, [blob, { digest: digestOfText('more'), sizeBytes: 0 }]);
      for (const repo of names) {
        assert.deepEqual(await reader.findBlob(repo, blob.digest), blob);
        assert.equal(await reader.findRepository(repo), null);
      }
      assert.deepEqual(
        await reader.listBlobHolders(blob.digest, { after: '', limit: 10 }),
        names.toSorted(byBytes),
      );
      assert.equal((await reader.listBlobHolders(blob.digest, { after: '', limit: 2 })).length, 2);
      await writer.addBlobs(leaving, [{ ...blob, sizeBytes: 7 }]);
      assert.equal((await reader.findBlob(leaving, blob.digest))?.sizeBytes, 7);
      await writer.removeBlobs(leaving, [blob.digest, one.digest]);
      assert.equal(await reader.findBlob(leaving, blob.digest), null);
      assert.equal((await reader.listBlobHolders(blob.digest, { after: '', limit: 10 })).length, 2);
      await writer.addBlobs(REPO, []);
      await writer.removeBlobs(REPO, []);
    },
  );
}

function replaceCases(indexTest: Case): void {
  indexTest(
    'replaces a repository, taking over what is kept and the blobs that were known',
    async ({ writer, openReader }) => {
      const reader = await openReader();
      const known = { digest: digestOfText('known'), sizeBytes: 1 };
      const found = { digest: digestOfText('found'), sizeBytes: 2 };
      await writer.addBlobs(REPO, [known]);
      await writer.applyChanges([
        change({ addedEntries: [entry(0, one, 'old'), entry(1, two, 'v2')], addedManifests: [one, two] }),
        change({ repo: OTHER, addedEntries: [entry(0, one, 'other')], addedManifests: [one] }),
      ]);
      const three = image('three', { subject: two.digest });
      await writer.replaceRepository(
        snapshot({
          state: state('2'),
          entries: [entry(0, three, 'v3'), entry(1, two, 'v2')],
          manifests: [three],
          kept: [two.digest, digestOfText('never known')],
          blobs: [found],
        }),
      );
      assert.deepEqual(await reader.findRepository(REPO), state('2'));
      assert.deepEqual(await reader.listTags(REPO, first), ['v2', 'v3']);
      assert.equal(await reader.findManifest(REPO, byDigest(one.digest)), null);
      assert.equal((await reader.findManifest(REPO, byTag('v2')))?.sizeBytes, two.sizeBytes);
      assert.equal((await writer.listReferences(REPO, two.digest)).length, 2);
      assert.equal((await reader.listReferrers(REPO, two.digest, { ...first, artifactTypes: [] })).length, 1);
      assert.deepEqual(
        [await reader.findBlob(REPO, known.digest), await reader.findBlob(REPO, found.digest)],
        [known, found],
      );
      assert.deepEqual(await reader.listTags(OTHER, first), ['other']);
      assert.deepEqual(await reader.listRepositories(first), [OTHER, REPO]);
      await writer.replaceRepository(snapshot({ repo: OTHER, state: state('3') }));
      assert.deepEqual(await reader.listRepositories(first), [REPO]);
    },
  );

  indexTest('lets no reader see half of a replaced repository', async ({ writer, openReader }) => {
    const reader = await openReader();
    const versions = [0, 1, 2, 3].map((version) => {
      const manifests = Array.from({ length: 800 }, (_, at) => image(`${version} ${at}`));
      const entries = manifests.map((manifest, at) => entry(at, manifest, `v${version}-${at}`));
      return snapshot({ state: state(`${version}`), manifests, entries });
    });
    await writer.replaceRepository(versions[0] as RepositorySnapshot);
    let done = false;
    const write = async (): Promise<void> => {
      for (const version of versions.slice(1)) await writer.replaceRepository(version);
      done = true;
    };
    const read = async (): Promise<number> => {
      const seen = new Set<string>();
      for (; !done; await new Promise(setImmediate)) {
        const tags = await reader.listTags(REPO, { after: '', limit: 10_000 });
        const prefixes = new Set(tags.map((tag) => tag.slice(0, 2)));
        assert.deepEqual([tags.length, prefixes.size], [800, 1], 'half a repository was seen');
        for (const prefix of prefixes) seen.add(prefix);
        assert.ok(await reader.findRepository(REPO));
      }
      return seen.size;
    };
    const [, seen] = await Promise.all([write(), read()]);
    assert.ok(seen >= 2, 'the reader did not look in between');
    assert.deepEqual(await reader.listRepositories(first), [REPO]);
  });

  indexTest('keeps the old rows when a repository cannot be replaced', async ({ writer, openReader }) => {
    const reader = await openReader();
    await writer.applyChanges([change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one] })]);
    const clash = [entry(0, two, 'a'), entry(0, two, 'b')];
    await assert.rejects(
      writer.replaceRepository(snapshot({ state: state('2'), entries: clash, manifests: [two] })),
    );
    assert.deepEqual(await reader.findRepository(REPO), state('1'));
    assert.deepEqual(await reader.listTags(REPO, first), ['v1']);
    assert.deepEqual(await writer.listKnownRepositories(first), [REPO]);
  });
}

function holderCases(indexTest: Case): void {
  indexTest('lists which repository holds which blob, by digest, page by page', async ({ writer }) => {
    const digests = ['a', 'b', 'c'].map(digestOfText).toSorted(byBytes);
    for (const repo of [REPO, OTHER]) {
      await writer.addBlobs(
        repo,
        digests.slice(repo === REPO ? 0 : 1).map((digest) => ({ digest, sizeBytes: 1 })),
      );
    }
    const found: HolderRow[] = [];
    for (let after: HolderRow = { digest: '', repo: '' }; ;) {
      const page = await writer.listHolders({ after, limit: 2 });
      found.push(...page);
      const last = page.at(-1);
      if (last === undefined) break;
      after = last;
    }
    const [a, b, c] = digests;
    assert.deepEqual(
      found.map(({ digest, repo }) => [digest, repo]),
      [
        [a, REPO],
        [b, OTHER],
        [b, REPO],
        [c, OTHER],
        [c, REPO],
      ],
    );
    const after = { digest: b ?? '', repo: '' } as const;
    assert.equal((await writer.listHolders({ after, limit: 9 })).length, 4);
  });
}

function removeCases(indexTest: Case): void {
  indexTest(
    'forgets a repository with all that is in it, and lets it begin again',
    async ({ writer, openReader }) => {
      const reader = await openReader();
      const blob = { digest: digestOfText('blob'), sizeBytes: 1 };
      const sound = change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one] });
      await writer.applyChanges([sound, { ...sound, repo: OTHER }]);
      for (const repo of [REPO, OTHER]) await writer.addBlobs(repo, [blob]);
      await writer.removeRepository(REPO);
      await writer.removeRepository(parseRepoName('never/there'));
      assert.equal(await reader.findRepository(REPO), null);
      assert.equal(await reader.findManifest(REPO, byDigest(one.digest)), null);
      assert.equal(await reader.findBlob(REPO, blob.digest), null);
      assert.deepEqual(await reader.listBlobHolders(blob.digest, { after: '', limit: 10 }), [OTHER]);
      assert.deepEqual(await reader.listRepositories(first), [OTHER]);
      await writer.applyChanges([sound]);
      assert.deepEqual(await reader.listTags(REPO, first), ['v1']);
      assert.deepEqual(await writer.listEntries(REPO, { afterPosition: -1, limit: 10 }), [
        entry(0, one, 'v1'),
      ]);
    },
  );
}

function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
