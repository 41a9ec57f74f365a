import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { imageOf, pushImage } from '../e2e/support/content.ts';
import { serveRegistry } from '../e2e/support/served.ts';
import { runZot } from '../support/run-zot.ts';
import { SmallDisk } from './support/small-disk.ts';

test('a folder on a read-only file system is checked, and what cannot be done there says why', async (t) => {
  const disk = await SmallDisk.mount(32);
  if (typeof disk === 'string') return t.skip(disk);
  t.after(() => disk.unmount());
  const root = path.join(disk.folder, 'registry');
  const served = await serveRegistry({ root });
  await pushImage(served, 'app', imageOf('read only'), 'v1');
  await served.close();
  await disk.makeReadOnly();

  const checked = await runZot('check', root, '--deep');
  assert.deepEqual([checked.exitCode, checked.errors], [0, '']);
  assert.match(checked.text, /^no damage in 1 repository, /);
  for (const command of ['gc', 'scrub', 'quota', 'tasks']) {
    const { exitCode, errors } = await runZot(command, root);
    assert.equal(exitCode, 1);
    assert.match(errors, /^Error: the folder \S+ cannot be used: EROFS: [^\n]*\n$/, command);
  }
  return undefined;
});
