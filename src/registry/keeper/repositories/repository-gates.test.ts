import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseRepoName } from '#oci/repo-name';
import { RepositoryGates } from './repository-gates.ts';

const A = parseRepoName('a');
const B = parseRepoName('b');

describe('the gates of repositories', { timeout: 10_000 }, () => {
  test('let changes through beside each other, and keep them out while one is closed', async () => {
    const gates = new RepositoryGates();
    const seen: string[] = [];
    const hold = Promise.withResolvers<void>();
    const first = gates.pass(A, async () => {
      seen.push('first');
      await hold.promise;
      // A change inside a change goes through, also when somebody waits to close.
      await gates.pass(A, async () => void seen.push('nested'));
    });
    await gates.pass(A, async () => void seen.push('beside'));
    const whole = gates.closed([A, B], async () => {
      seen.push('closed');
      await gates.pass(A, async () => void seen.push('own'));
      await nextTurn();
      seen.push('done');
    });
    await nextTurn();
    const late = gates.pass(A, async () => void seen.push('late'));
    await nextTurn();
    assert.deepEqual(seen, ['first', 'beside']);
    hold.resolve();
    await Promise.all([first, whole, late]);
    assert.deepEqual(seen, ['first', 'beside', 'nested', 'closed', 'own', 'done', 'late']);
  });

  test('do not let two wait for each other', async () => {
    const gates = new RepositoryGates();
    const done: string[] = [];
    await Promise.all([
      gates.closed([A, B], async () => void done.push('ab')),
      gates.closed([B, A], async () => void done.push('ba')),
      gates.closed([B], async () => void done.push('b')),
    ]);
    assert.equal(done.length, 3);
  });

  test('are closed by one at a time, also when all come at once', async () => {
    const gates = new RepositoryGates();
    let inside = 0;
    const whole = (): Promise<void> =>
      gates.closed([A, B], async () => {
        inside += 1;
        await nextTurn();
        assert.equal(inside, 1);
        inside -= 1;
      });
    const change = (): Promise<void> => gates.pass(A, async () => assert.equal(inside, 0));
    await Promise.all([whole(), change(), whole(), change(), whole(), change(), whole()]);
  });

  test('give no right to what goes on after it left', async () => {
    const gates = new RepositoryGates();
    const begun = Promise.withResolvers<void>();
    let leaked: Promise<void> = Promise.resolve();
    const seen: string[] = [];
    await gates.pass(A, async () => {
      leaked = begun.promise.then(() => gates.pass(A, async () => void seen.push('leaked')));
    });
    await gates.closed([A], async () => {
      begun.resolve();
      for (let turn = 0; turn < 5; turn += 1) await nextTurn();
      seen.push('closed');
    });
    await leaked;
    assert.deepEqual(seen, ['closed', 'leaked']);
  });

  test('are passed as by anybody by what is begun inside to go on afterwards', async () => {
    const gates = new RepositoryGates();
    let later: Promise<void> = Promise.resolve();
    const seen: string[] = [];
    await gates.closed([A], async () => {
      later = gates.outside(() => gates.pass(A, async () => void seen.push('later')));
      await nextTurn();
      seen.push('closed');
    });
    await later;
    assert.deepEqual(seen, ['closed', 'later']);
  });

  test('open again after a failure', async () => {
    const gates = new RepositoryGates();
    await assert.rejects(gates.closed([A], () => Promise.reject(new Error('failed'))));
    await assert.rejects(gates.pass(A, () => Promise.reject(new Error('failed'))));
    assert.equal(await gates.closed([A], () => gates.pass(A, async () => 1)), 1);
  });
});
