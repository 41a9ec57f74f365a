/**
 * R3 and R4 for the whole registry: a power cut at every moment of its work, with what was not synced lost, torn or
 * out of order. The registry that is started on what is left, with a new index or with the one that was there, has
 * everything that was acknowledged and nothing half. With syncs of folders left out the same test must fail.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contentOf, imageOf, indexOf } from './support/images.ts';
import type { Content } from './support/images.ts';
import { play } from './support/power-cut-play.ts';
import type { History } from './support/power-cut-play.ts';
import { PromisingClient } from './support/promising-client.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';

const ROUNDS = roundsOr(1);

const layer = (name: string): Content => contentOf(Buffer.from(`layer ${name} `.repeat(700)));
const one = imageOf([layer('base')], 'one');
const two = imageOf([layer('base'), layer('top')], 'two');
const both = indexOf([one.manifest, two.manifest]);

const histories: readonly History[] = [
  {
    title: 'images, an index, a tag that moves',
    run: async ({ registry }, disk) => {
      const client = new PromisingClient(registry, disk, 'library/app');
      await client.pushImage(one, 'latest', [two.manifest]);
      await client.pushImage(two, 'latest');
      await client.push(both, 'all');
    },
  },
  {
    title: 'deletes, and a push of what was deleted',
    run: async ({ registry }, disk) => {
      const client = new PromisingClient(registry, disk, 'team');
      await client.pushImage(one, 'kept');
      await client.pushImage(two, 'gone', [null]);
      await client.deleteTag('gone');
      await client.deleteManifest(two.manifest);
    },
  },
  {
    title: 'mounts into a repository that is new',
    run: async ({ registry }, disk) => {
      const base = new PromisingClient(registry, disk, 'base');
      await base.pushImage(one, 'v1');
      const nested = new PromisingClient(registry, disk, 'base/nested');
      for (const blob of one.blobs) await nested.mount(blob, 'base');
      await nested.push(one.manifest, 'v1');
    },
  },
  {
    title: 'clients at the same time, in one repository and in several',
    run: async ({ registry }, disk) => {
      const shared = ['a', 'a', 'a/b', 'c'].map((repo) => new PromisingClient(registry, disk, repo));
      await Promise.all(
        shared.map((client, at) =>
          client.pushImage(imageOf([layer(`own ${at}`)], `client ${at}`), `tag${at}`),
        ),
      );
    },
  },
];

describe('the registry after a power cut', { timeout: timeoutFor(ROUNDS * histories.length, 60_000) }, () => {
  for (const [at, history] of histories.entries()) {
    test(`has all that was acknowledged, and nothing half: ${history.title}`, async (context) => {
      const { states, faults } = await play(history, { seed: seed * 10 + at });
      assert.deepEqual(faults, []);
      assert.ok(states > 50, `only ${states} states`);
      context.diagnostic(`${states} states`);
    });
  }

  test('would be found wanting if folders were not synced', async () => {
    const [history] = histories;
    assert.ok(history);
    const { faults } = await play(history, { seed, ignoreFolderSync: true });
    assert.match(faults.join(), /lost|not there/);
  });

  test('would be found wanting if files were not synced', async () => {
    const [history] = histories;
    assert.ok(history);
    const { faults } = await play(history, { seed, ignoreFileSync: true });
    assert.match(faults.join(), /lost|not there|other bytes|another size/);
  });
});
