import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { OCI_MANIFEST } from '#oci/media-types';
import { parseRepoName } from '#oci/repo-name';
import { change, entry, image } from '../metadata/index-samples.suite.ts';
import { openKeeper, pushOf, type OpenedKeeper } from '../../test/support/opened-keeper.ts';
import { Freshness } from './freshness.ts';
import { Listing } from './listing.ts';

let opened: OpenedKeeper;
before(async () => {
  opened = await openKeeper();
});
after(() => opened.close());

/** A list whose look-ups in the index are told of, with what each gave. */
function watchedListing(
  method: 'listReferrers' | 'listRepositories',
  told: (rows: readonly object[]) => void,
): Listing {
  const index = new Proxy(opened.index, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const rows: unknown = await Reflect.apply(value, target, args);
        if (name === method) told(rows as readonly object[]);
        return rows;
      };
    },
  });
  return new Listing({ index, freshness: new Freshness(opened.storage, opened.index, opened.keeper) });
}

test('a page of referrers reads no more of them than it can hold, and one', async () => {
  const subject = digestOf(Buffer.from('subject'));
  const config = await opened.putBlob('{}', 'application/vnd.oci.empty.v1+json');
  const pad = 'x'.repeat(1_000_000);
  for (let at = 0; at < 12; at += 1) {
    const about = {
      subject: { mediaType: OCI_MANIFEST, digest: subject, size: 7 },
      annotations: { pad, at: `${at}` },
    };
    await opened.keeper.pushManifest(pushOf(opened.repo, { config, layers: [], ...about }));
  }
  let read = 0;
  const listing = watchedListing('listReferrers', (rows) => (read += rows.length));
  const first = await listing.referrers(opened.repo, subject, { artifactTypes: [], last: '' });
  assert.deepEqual([first.referrers.length, first.more, read], [3, true, 4]);
  const last = first.referrers.at(-1)?.digest ?? '';
  const second = await listing.referrers(opened.repo, subject, { artifactTypes: [], last });
  assert.deepEqual([second.referrers.length, second.more], [3, true]);
});

test('a small page of a catalog of which nearly all is hidden takes few look-ups, and lets others run', async () => {
  const names = Array.from({ length: 3500 }, (_, at) =>
    parseRepoName(`hidden/${String(at).padStart(4, '0')}`),
  );
  const manifest = image('hidden');
  await opened.index.applyChanges(
    names.map((repo) =>
      change({ repo, addedManifests: [manifest], addedEntries: [entry(0, manifest, null)] }),
    ),
  );
  let lookUps = 0;
  const listing = watchedListing('listRepositories', () => (lookUps += 1));
  let turns = 0;
  let isDone = false;
  const turn = (): void => {
    turns += 1;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  const seen = names.at(-1);
  const page = await listing.repositories({ last: '', limit: 1 }, (repo) => repo === seen);
  isDone = true;
  assert.deepEqual(page, { repositories: [seen], more: false });
  assert.ok(lookUps <= 6, `${lookUps} look-ups`);
  assert.ok(turns >= 3, `${turns} turns`);
});
