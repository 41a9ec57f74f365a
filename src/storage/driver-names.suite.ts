/**
 * Cases of the contract about names that share bytes and folders that hold none; part of
 * `driver-contract.suite.ts`.
 */
import assert from 'node:assert/strict';
import { StorageError } from './driver.ts';
import type { PutOptions, StorageDriver } from './driver.ts';

/** A folder of its own for each case. */
interface Place {
  readonly driver: StorageDriver;
  path(name: string): string;
  put(name: string, text: string): Promise<unknown>;
  text(name: string): Promise<string | null>;
  link(from: string, to: string, more?: Partial<PutOptions>): Promise<void>;
  stagedNothing(): Promise<void>;
}

type Case = (title: string, work: (place: Place) => Promise<void>) => void;

export function sharingCases(driverTest: Case): void {
  driverTest('link that must share shares, or is "invalid" and leaves the target', async (place) => {
    await place.put('one', 'content');
    await place.put('two', 'before');
    const shared = await place.link('one', 'two', { mustShare: true }).then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof StorageError && error.fault === 'invalid', String(error));
        return false;
      },
    );
    assert.equal(await place.text('two'), shared ? 'content' : 'before');
    await place.stagedNothing();
  });

  driverTest('names that share bytes have one fingerprint, and are counted', async (place) => {
    const { driver } = place;
    if (!driver.flags.hardLinks) return;
    const seen = () => Promise.all(['one', 'two', 'three'].map((name) => driver.stat(place.path(name))));
    for (const name of ['one', 'two', 'three']) await place.put(name, 'content');
    assert.equal(new Set((await seen()).map((stat) => stat?.fingerprint)).size, 3);
    const shared = await Promise.allSettled(
      ['two', 'three'].map((to) => place.link('one', to, { mustShare: true })),
    );
    if (shared.some(({ status }) => status === 'rejected')) return;
    assert.equal(new Set((await seen()).map((stat) => stat?.fingerprint)).size, 1);
    assert.deepEqual(new Set((await seen()).map((stat) => stat?.names)), new Set([3]));
    assert.equal(new Set((await seen()).map((stat) => stat?.identity)).size, 1);
    await place.put('two', 'content');
    await driver.delete(place.path('three'), { durable: false });
    const [one, two] = await seen();
    assert.notEqual(one?.fingerprint, two?.fingerprint);
    assert.ok(one?.identity === undefined || one.identity !== two?.identity);
    assert.deepEqual([one?.names, two?.names], [1, 1]);
  });
}

export function folderCases(driverTest: Case): void {
  driverTest('removes no folder that holds something, and none that is not there', async (place) => {
    await place.put('folder/inner/file', 'content');
    assert.equal(await place.driver.removeEmptyFolder(place.path('folder')), false);
    assert.equal(await place.driver.removeEmptyFolder(place.path('folder/inner')), false);
    assert.equal(await place.driver.removeEmptyFolder(place.path('none')), false);
    assert.equal(await place.text('folder/inner/file'), 'content');
  });

  driverTest(
    'removes an empty folder, if it has folders at all, and makes it anew when needed',
    async (place) => {
      await place.put('folder/file', 'content');
      await place.driver.delete(place.path('folder/file'), { durable: false });
      await place.driver.removeEmptyFolder(place.path('folder'));
      assert.equal(await place.driver.removeEmptyFolder(place.path('folder')), false);
      await place.put('folder/file', 'again');
      assert.equal(await place.text('folder/file'), 'again');
    },
  );
}
