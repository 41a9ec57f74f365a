import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDigest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { parseRepoName } from '#oci/repo-name';
import { newUploadId } from '#oci/upload-id';
import type { UploadRef } from '../keeper-contract.ts';
import { UploadLedger } from './upload-ledger.ts';

const upload = (): UploadRef => ({ repo: parseRepoName('a/b'), id: newUploadId() });
const progress = { sizeBytes: 5, digest: parseDigest(`sha256:${'a'.repeat(64)}`) };
const noRevoke = (): void => assert.fail('nobody asked for it');

test('a claim gives what the last holder noted', async () => {
  const ledger = new UploadLedger();
  const one = upload();
  assert.equal(await ledger.claim(one, noRevoke), null);
  ledger.release(one, progress);
  assert.deepEqual(await ledger.claim(one, noRevoke), progress);
  ledger.release(one, null);
  assert.equal(await ledger.claim(one, noRevoke), null);
});

test('a holder is asked to let go, once for each who wants it, and the next waits for it', async () => {
  const ledger = new UploadLedger();
  const one = upload();
  let asked = 0;
  await ledger.claim(one, () => (asked += 1));
  let isClaimed = false;
  const next = ledger.claim(one, noRevoke).then((known) => {
    isClaimed = true;
    return known;
  });
  assert.equal(asked, 1);
  await Promise.resolve();
  assert.equal(isClaimed, false);
  ledger.release(one, progress);
  assert.deepEqual(await next, progress);
});

test('of several who wait one gets it at a time, all in the end', async () => {
  const ledger = new UploadLedger();
  const one = upload();
  let holders = 0;
  const hold = async (): Promise<void> => {
    const { promise: revoked, resolve } = Promise.withResolvers<void>();
    await ledger.claim(one, () => resolve());
    holders += 1;
    assert.equal(holders, 1);
    // Lets go when it is asked, or by itself after a few turns.
    await Promise.race([revoked, new Promise((done) => setImmediate(done))]);
    holders -= 1;
    ledger.release(one, progress);
  };
  await Promise.all(Array.from({ length: 20 }, hold));
  assert.equal(ledger.isClaimed(one), false);
});

test('a holder that does not let go makes the next give up with 409', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const ledger = new UploadLedger();
  const one = upload();
  await ledger.claim(one, () => undefined);
  const next = ledger.claim(one, noRevoke);
  context.mock.timers.tick(5000);
  await assert.rejects(next, (error) => error instanceof RegistryError && error.status === 409);
  assert.equal(ledger.isClaimed(one), true);
});

test('uploads do not touch each other, also of one id in two repositories', async () => {
  const ledger = new UploadLedger();
  const one = upload();
  const other = { ...one, repo: parseRepoName('other') };
  await ledger.claim(one, noRevoke);
  await ledger.claim(other, noRevoke);
  ledger.forget(one);
  assert.deepEqual([ledger.isClaimed(one), ledger.isClaimed(other)], [false, true]);
});
