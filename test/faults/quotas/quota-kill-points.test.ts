/**
 * Every operation that changes something, with the process dying before each call of its disk and of its index in turn:
 * after the next start what quotas count is what is on the store, with the index as it was left and without it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { DyingDisk } from '../support/dying-disk.ts';
import { openRegistry } from '../support/opened-registry.ts';
import type { OpenedRegistry } from '../support/opened-registry.ts';
import { fill, operations } from '../support/registry-operations.ts';
import type { Operation } from '../support/registry-operations.ts';
import { onCopy } from '../support/sample-folder.ts';
import { roundsOr } from '../support/settings.ts';
import { countingQuotas, requireExactCounts } from './recount.ts';

const CALLS_MAX = 250;
const QUOTAS = countingQuotas('', 'library', 'library/app/other', 'new');

let base = '';
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'zot-quota-kills-'));
  await withQuotas(base, ({ registry }) => fill(registry));
});
after(() => rm(base, { recursive: true, force: true }));

async function withQuotas(root: string, work: (opened: OpenedRegistry) => Promise<void>): Promise<void> {
  const opened = await openRegistry({ root, driver: new LocalDriver(root), durable: false, quotas: QUOTAS });
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

/** Gives whether the operation was acknowledged before the death. */
async function dieAt(operation: Operation, root: string, at: number): Promise<boolean> {
  const disk = new DyingDisk();
  const driver = new LocalDriver(root, disk);
  const wrapIndex = disk.index.bind(disk);
  const opened = await openRegistry({ root, driver, durable: false, quotas: QUOTAS, wrapIndex });
  try {
    // The copy looks changed, and is read again.
    await opened.keeper.quotas.settled();
    disk.arm({ at, torn: false });
    const done = operation.run(opened.registry, opened, root).then(() => true);
    const finished = await Promise.race([done, disk.died.then(() => false)]);
    await onCopy(root, judge);
    return finished;
  } finally {
    await disk.bury();
    await opened.abandon();
  }
}

async function judge(root: string): Promise<void> {
  await withQuotas(root, requireExactCounts);
  for (const suffix of ['', '-wal', '-shm'])
    await rm(join(root, OWN_FOLDER, `index.db${suffix}`), { force: true });
  await withQuotas(root, requireExactCounts);
}

describe('the counts of quotas', { timeout: 240_000 }, () => {
  for (const [number, operation] of operations.entries()) {
    // In a short run every third one; in a long run all.
    if (roundsOr(1) === 1 && number % 3 !== 0) continue;
    test(`are exact again after a process that died: ${operation.name}`, async () => {
      for (let at = 1, finished = false; !finished; at += 1) {
        assert.ok(at < CALLS_MAX, 'the operation makes too many calls');
        finished = await onCopy(base, (root) => dieAt(operation, root, at));
      }
    });
  }
});
