/**
 * R2: every operation that changes something, with the process dying before each call of its disk and of its index in
 * turn, and in the middle of each write. What is found after a restart is the state before the operation or the state
 * after it, never a third; the state after it when it was acknowledged; the same without index.db; and the operation
 * can be done again.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RegistryError } from '#registry';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { DyingDisk } from './support/dying-disk.ts';
import type { Death } from './support/dying-disk.ts';
import { readLayouts } from './support/layout-truth.ts';
import { openRegistry } from './support/opened-registry.ts';
import {
  expectationsOf,
  fillFolder,
  known,
  operations,
  withRegistry,
} from './support/registry-operations.ts';
import type { Operation } from './support/registry-operations.ts';
import { viewOf } from './support/registry-view.ts';
import type { View } from './support/registry-view.ts';
import { onCopy } from './support/sample-folder.ts';
import { roundsOr } from './support/settings.ts';

const CALLS_MAX = 250;

let base = '';
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'zot-kill-points-'));
  await fillFolder(base);
});
after(async () => {
  await rm(base, { recursive: true, force: true });
});

/** Carries out the operation with a death; gives whether it was acknowledged, after `look` saw the folder then. */
async function die(
  operation: Operation,
  options: { root: string; durable: boolean; death: Death },
  look: (root: string, acknowledged: boolean) => Promise<void>,
): Promise<{ acknowledged: boolean; calls: readonly string[] }> {
  const { root, durable, death } = options;
  const disk = new DyingDisk();
  const driver = new LocalDriver(root, disk);
  const opened = await openRegistry({ root, driver, durable, wrapIndex: (index) => disk.index(index) });
  try {
    disk.arm(death);
    const done = operation.run(opened.registry, opened, root).then(() => true);
    const acknowledged = await Promise.race([done, disk.died.then(() => false)]);
    await onCopy(root, (copy) => look(copy, acknowledged));
    return { acknowledged, calls: [...disk.calls] };
  } finally {
    await disk.bury();
    await opened.close();
  }
}

async function judge(
  root: string,
  expected: { old: View; new: View },
  acknowledged: boolean,
  durable: boolean,
): Promise<void> {
  const truth = await readLayouts(root);
  assert.deepEqual(truth.faults, []);
  const found = await withRegistry(root, durable, ({ registry }) => viewOf(registry, known));
  const isOld = JSON.stringify(found) === JSON.stringify(expected.old);
  if (acknowledged || !isOld) assert.deepEqual(found, expected.new);
  for (const suffix of ['', '-wal', '-shm'])
    await rm(join(root, OWN_FOLDER, `index.db${suffix}`), { force: true });
  const rebuilt = await withRegistry(root, durable, ({ registry }) => viewOf(registry, known));
  assert.deepEqual(rebuilt, found, 'without index.db the answers differ');
}

/** Again after the restart: it succeeds, or finds nothing left to do, and then all is as after it. */
async function repeat(operation: Operation, root: string, expected: View, durable: boolean): Promise<void> {
  await withRegistry(root, durable, async (opened) => {
    const { registry } = opened;
    try {
      await operation.run(registry, opened, root);
    } catch (error) {
      if (!(error instanceof RegistryError && error.status === 404)) throw error;
    }
    assert.deepEqual(await viewOf(registry, known), expected);
  });
}

describe('an operation whose process dies', { timeout: 240_000 }, () => {
  for (const [number, operation] of operations.entries()) {
    // In a short run every other one with commit; in a long run all with and without.
    for (const durable of roundsOr(1) > 1 ? [true, false] : [number % 2 === 0]) {
      test(`is done or not done, never half: ${operation.name}, commit ${durable}`, async (context) => {
        const expected = await expectationsOf(operation, base, durable);
        const names = new Set<string>();
        for (let at = 1, finished = false; !finished; at += 1) {
          assert.ok(at < CALLS_MAX, 'the operation makes too many calls');
          for (const torn of [false, true]) {
            const { acknowledged, calls } = await onCopy(base, (root) =>
              die(operation, { root, durable, death: { at, torn } }, async (left, done) => {
                await judge(left, expected, done, durable);
                await repeat(operation, left, expected.new, durable);
              }),
            );
            finished = acknowledged;
            const last = calls.at(-1) ?? '';
            names.add(last);
            // Only writes can be torn: for the others the second death is the same as the first.
            if (!last.startsWith('write')) break;
          }
        }
        context.diagnostic([...names].join(', '));
      });
    }
  }
});
