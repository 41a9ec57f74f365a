/**
 * R17: a server that is told to stop while clients upload and download. Those that finish within the grace are
 * answered; those that do not are cut off and can resume after the next start; nothing acknowledged is lost, and the
 * exit code is 0.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { contentOf, randomContent } from './support/images.ts';
import type { Content } from './support/images.ts';
import { readLayouts } from './support/layout-truth.ts';
import { finishUpload, patchUpload, pushBlob, requireStatus } from './support/pushing.ts';
import { RegistryClient } from './support/registry-client.ts';
import { answersOf, fillRepository } from './support/sample-folder.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { seed } from './support/settings.ts';
import { SlowConnection } from './support/slow-connection.ts';

const GRACE_MS = 1500;
const REPO = 'library/app';

const random = new SeededRandom(seed);
const half = (blob: Content): Buffer => blob.bytes.subarray(0, blob.bytes.length >> 1);
const rest = (blob: Content): Buffer => blob.bytes.subarray(blob.bytes.length >> 1);

async function begunUpload(client: RegistryClient): Promise<string> {
  const begun = requireStatus(await client.send('POST', `/v2/${REPO}/blobs/uploads/`), [202]);
  return String(begun.headers.location);
}

/** A PATCH of which the first half was sent and taken. */
async function halfPatch(
  server: RunningServer,
  client: RegistryClient,
  blob: Content,
): Promise<{
  connection: SlowConnection;
  location: string;
}> {
  const location = await begunUpload(client);
  const connection = await SlowConnection.open(server.port);
  connection.begin('PATCH', new URL(location, server.url).pathname, { 'content-length': blob.bytes.length });
  connection.send(half(blob));
  // The server writes in steps of a mebibyte: once the first is there, the request is under way.
  await retry(async () => {
    assert.notEqual((await client.send('GET', location)).headers.range, '0-0');
  }, 20_000);
  return { connection, location };
}

/** A download that has begun and is not read any further. */
async function heldDownload(server: RunningServer, digest: string): Promise<SlowConnection> {
  const connection = await SlowConnection.open(server.port, false);
  connection.begin('GET', `/v2/${REPO}/blobs/${digest}`);
  assert.equal(await connection.status(), 200);
  connection.stopReading();
  return connection;
}

describe('a server that is told to stop', { timeout: 120_000 }, () => {
  for (const workers of [1, 2]) {
    test(`finishes what it can and leaves the rest to be resumed: workers ${workers}`, async () => {
      const root = await mkdtemp(join(tmpdir(), 'zot-shutdown-'));
      const config = { http: { workers, shutdownGrace: `${GRACE_MS}ms` } };
      const server = await startServer({ root, config });
      const client = new RegistryClient(server.url);
      const large = contentOf(Buffer.alloc(24 * 1024 * 1024, 'large '));
      requireStatus(await pushBlob(client, REPO, large), [201]);
      const samples = [await fillRepository(server.url, REPO)];
      const expected = await answersOf(server.url, samples);
      const [finishing, hanging] = [randomContent(random, 3_000_000), randomContent(random, 3_000_000)];
      const finished = await halfPatch(server, client, finishing);
      const hung = await halfPatch(server, client, hanging);
      const read = await heldDownload(server, large.digest);
      const unread = await heldDownload(server, large.digest);
      const pushing = contentOf(Buffer.from('pushed while it stops '.repeat(2000)));
      const push = await SlowConnection.open(server.port);
      const head = { 'content-length': pushing.bytes.length };
      push.begin('POST', `/v2/${REPO}/blobs/uploads/?digest=${pushing.digest}`, head);
      push.send(half(pushing));
      // Its file is there beside those of the two sessions: the request is under way.
      await retry(async () => assert.equal((await readLayouts(root)).uploads.length, 3), 20_000);
      client.close();

      const startedMs = performance.now();
      const stopped = server.stop();
      await retry(() => assert.rejects(SlowConnection.open(server.port), { code: 'ECONNREFUSED' }), 20_000);
      finished.connection.send(rest(finishing));
      push.send(rest(pushing));
      read.resumeReading();
      assert.equal(await finished.connection.status(), 202);
      assert.equal(await push.status(), 201);
      await read.untilReceived(large.bytes.length);
      assert.ok(read.receivedBytes > large.bytes.length, 'a download that was read was cut off');
      assert.equal(await stopped, 0);
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs < GRACE_MS + 8000, `stopping took ${Math.round(tookMs)} ms`);
      unread.resumeReading();
      await Promise.all([hung.connection.untilEnded(), unread.untilEnded()]);

      const again = await startServer({ root, config });
      const secondClient = new RegistryClient(again.url);
      try {
        assert.deepEqual(await answersOf(again.url, samples), expected);
        await resume(secondClient, finished.location, finishing, finishing.bytes.length);
        await resume(secondClient, hung.location, hanging, 0);
        const found = await secondClient.send('GET', `/v2/${REPO}/blobs/${pushing.digest}`);
        assert.ok(found.body.equals(pushing.bytes));
        assert.deepEqual((await readLayouts(root)).faults, []);
      } finally {
        secondClient.close();
        await again.stop();
        await rm(root, { recursive: true, force: true });
      }
    });
  }

  test('ends at once when it is told a second time', async () => {
    const server = await startServer({ config: { http: { shutdownGrace: '60s' } } });
    const client = new RegistryClient(server.url);
    const hung = await halfPatch(server, client, randomContent(random, 3_000_000));
    client.close();
    const startedMs = performance.now();
    process.kill(server.pid, 'SIGTERM');
    await retry(() => assert.rejects(SlowConnection.open(server.port), { code: 'ECONNREFUSED' }), 20_000);
    process.kill(server.pid, 'SIGTERM');
    await hung.connection.untilEnded();
    await server.stop();
    assert.ok(performance.now() - startedMs < 10_000);
  });
});

/** Goes on where the registry says that the upload is, which must be at least `acknowledgedBytes`. */
async function resume(
  client: RegistryClient,
  location: string,
  blob: Content,
  acknowledgedBytes: number,
): Promise<void> {
  const status = requireStatus(await client.send('GET', location), [204]);
  const last = Number(String(status.headers.range).split('-')[1]);
  const has = last === 0 ? 0 : last + 1;
  assert.ok(has >= acknowledgedBytes && has <= blob.bytes.length, `${has} bytes are there`);
  let before = status;
  if (has < blob.bytes.length) {
    before = requireStatus(await patchUpload(client, location, blob.bytes.subarray(has), has), [202]);
  }
  requireStatus(await finishUpload(client, before, blob.digest), [201]);
}
