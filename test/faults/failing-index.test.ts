/**
 * R5 and R6 for the index: every operation that changes something, with each call of its database failing in turn, once
 * or from then on. An error leaves everything as it was, both in the layout and in what is shown; nothing hangs; and
 * once the database answers again the operation can be done.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RegistryError, fromDatabase } from '#registry';
import { LocalDriver } from '#storage';
import { FailingIndex } from './support/failing-index.ts';
import type { IndexFaultPlan } from './support/failing-index.ts';
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

const CALLS_MAX = 120;
const HANG_MS = 10_000;

type Kind = Omit<IndexFaultPlan, 'at'>;
const usual: readonly Kind[] = [{ fault: 'full', when: 'before' }];
const all: readonly Kind[] = [
  ...usual,
  { fault: 'full', when: 'before', forGood: true },
  { fault: 'unavailable', when: 'before' },
  { fault: 'unavailable', when: 'after' },
];
const kinds = roundsOr(1) > 1 ? all : usual;

let base = '';
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'zot-failing-index-'));
  await fillFolder(base);
});
after(async () => {
  await rm(base, { recursive: true, force: true });
});

async function withinTime<Result>(work: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(reject, HANG_MS, new Error('it hangs'));
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs the operation with a fault; gives whether one happened. */
async function attempt(
  operation: Operation,
  root: string,
  expected: { old: View; new: View },
  plan: IndexFaultPlan,
): Promise<boolean> {
  const faulty = new FailingIndex();
  const driver = new LocalDriver(root);
  const opened = await openRegistry({
    root,
    driver,
    durable: false,
    wrapIndex: (index) => faulty.wrap(index),
  });
  try {
    faulty.arm(plan);
    const outcome = await withinTime(
      operation.run(opened.registry, opened, root).then(
        () => null,
        (error: unknown) => error,
      ),
    );
    const where = `call ${plan.at} (${faulty.calls[plan.at - 1]}), ${String(outcome)}`;
    faulty.arm(null);
    if (outcome !== null && !(outcome instanceof RegistryError)) {
      assert.ok(fromDatabase(outcome), `${where}: ${String(outcome instanceof Error ? outcome.stack : '')}`);
    }
    const found = await viewOf(opened.registry, known);
    const unclear = outcome !== null && plan.when === 'after';
    const isOld = JSON.stringify(found) === JSON.stringify(expected.old);
    if (outcome === null || (unclear && !isOld)) assert.deepEqual(found, expected.new, where);
    else
      assert.deepEqual(
        withoutLeftovers(found, expected.new),
        withoutLeftovers(expected.old, expected.new),
        where,
      );
    assert.deepEqual((await readLayouts(root)).faults, [], where);
    const onDisk = await onCopy(root, (copy) =>
      withRegistry(copy, false, ({ registry }) => viewOf(registry, known)),
    );
    if (!unclear) assert.deepEqual(onDisk, found, `${where}: a restart shows something else`);
    await finish(operation, opened, root);
    assert.deepEqual(await viewOf(opened.registry, known), expected.new, where);
    return faulty.failed > 0;
  } finally {
    faulty.arm(null);
    await opened.close();
  }
}

/** Without blobs that the operation brings: one that is there and that no manifest names is collected later. */
function withoutLeftovers(view: View, after: View): View {
  const entries = Object.entries(view).map(([repo, { tags, manifests, blobs }]) => {
    const brought = new Set(after[repo]?.blobs);
    return [repo, { tags, manifests, blobs: blobs.filter((digest) => !brought.has(digest)) }] as const;
  });
  return Object.fromEntries(entries);
}

async function finish(
  operation: Operation,
  opened: Awaited<ReturnType<typeof openRegistry>>,
  root: string,
): Promise<void> {
  try {
    await withinTime(operation.run(opened.registry, opened, root));
  } catch (error) {
    // Deleted before, though nobody was told.
    if (!(error instanceof RegistryError && error.status === 404)) throw error;
  }
}

describe('an operation whose index fails', { timeout: 240_000 }, () => {
  // What another tool changed is taken in when it can be, and is no operation of a client.
  for (const operation of operations.filter(({ name }) => !name.includes('another tool'))) {
    for (const kind of kinds) {
      const how = `${kind.fault} ${kind.when}${kind.forGood === true ? ' for good' : ''}`;
      test(`leaves everything as it was: ${operation.name}, ${how}`, async (context) => {
        const expected = await expectationsOf(operation, base, false);
        let at = 1;
        while (await onCopy(base, (root) => attempt(operation, root, expected, { ...kind, at }))) {
          at += 1;
          assert.ok(at < CALLS_MAX, 'the operation makes too many calls');
        }
        context.diagnostic(`${at - 1} calls failed`);
      });
    }
  }
});
