import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseRepoName } from '#oci/repo-name';
import { MemoryDriver } from '../storage/drivers/memory.ts';
import {
  openKeeper,
  pushOf,
  type OpenedKeeper,
  type PlainDescriptor,
} from '../../test/support/opened-keeper.ts';
import { Freshness } from './freshness.ts';

/** Counts the looks at index.json. */
class CountingDriver extends MemoryDriver {
  looks = 0;

  override stat(path: string): ReturnType<MemoryDriver['stat']> {
    if (path.endsWith('index.json')) this.looks += 1;
    return super.stat(path);
  }
}

const driver = new CountingDriver();
let opened: OpenedKeeper;
let config: PlainDescriptor;
before(async () => {
  opened = await openKeeper(driver);
  config = await opened.putBlob('{}', 'application/vnd.oci.empty.v1+json');
  await opened.keeper.pushManifest(pushOf(opened.repo, { config, layers: [] }, ['v1']));
});
after(() => opened.close());

const fresh = (): Freshness => new Freshness(opened.storage, opened.index, opened.keeper);

test('a repository is looked at once for all who ask at the same time, and then trusted', async () => {
  const freshness = fresh();
  assert.equal(freshness.isFresh(opened.repo), false);
  driver.looks = 0;
  await Promise.all([
    freshness.check(opened.repo),
    freshness.check(opened.repo),
    freshness.check(opened.repo),
  ]);
  assert.equal(driver.looks, 1);
  assert.equal(freshness.isFresh(opened.repo), true);
});

test('a file that another tool changed is read again', async () => {
  const freshness = fresh();
  await freshness.check(opened.repo);
  const stagingPath = `${opened.repo}/.uploads/x`;
  await driver.put(`${opened.repo}/index.json`, [Buffer.from('{"schemaVersion":2,"manifests":[]}')], {
    durable: false,
    stagingPath,
  });
  await freshness.check(opened.repo);
  assert.deepEqual(await opened.index.listTags(opened.repo, { after: '', limit: 10 }), []);
});

test('a repository that is not there is remembered as such, and the keeper is not troubled', async () => {
  const freshness = fresh();
  const absent = parseRepoName('not/there');
  await freshness.check(absent);
  assert.equal(freshness.isFresh(absent), true);
  assert.equal(await opened.index.findRepository(absent), null);
});
