/**
 * Single processes that die in the middle of a request: its client is told 503, or loses the connection, and can go on
 * where the registry says that it is; nothing else notices.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, test } from 'node:test';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { imageOf, randomContent } from './support/images.ts';
import type { Content } from './support/images.ts';
import { finishUpload, patchUpload, pushImage, requireStatus } from './support/pushing.ts';
import { RegistryClient } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { serverProcesses } from './support/server-processes.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';
import { SlowConnection } from './support/slow-connection.ts';

const REPO = 'library/app';
const ROUNDS = roundsOr(1);
const random = new SeededRandom(seed);

/** A PATCH of which two mebibytes were sent, and one was written. */
async function beginPatch(
  server: RunningServer,
  client: RegistryClient,
  blob: Content,
): Promise<{ connection: SlowConnection; location: string }> {
  const begun = requireStatus(await client.send('POST', `/v2/${REPO}/blobs/uploads/`), [202]);
  const location = String(begun.headers.location);
  const connection = await SlowConnection.open(server.port);
  connection.begin('PATCH', new URL(location, server.url).pathname, { 'content-length': blob.bytes.length });
  connection.send(blob.bytes.subarray(0, 2 * 1024 * 1024));
  await retry(async () => {
    assert.notEqual((await client.send('GET', location)).headers.range, '0-0');
  }, 10_000);
  return { connection, location };
}

async function resume(client: RegistryClient, location: string, blob: Content): Promise<void> {
  const status = requireStatus(await client.send('GET', location), [204]);
  const has = Number(String(status.headers.range).split('-')[1]) + 1;
  const sent = requireStatus(await patchUpload(client, location, blob.bytes.subarray(has), has), [202]);
  requireStatus(await finishUpload(client, sent, blob.digest), [201]);
  const read = await client.send('GET', `/v2/${REPO}/blobs/${blob.digest}`);
  assert.ok(read.body.equals(blob.bytes));
}

describe('a process that dies', { timeout: timeoutFor(ROUNDS * 3, 30_000) }, () => {
  test('as the keeper of an upload: its client is told 503, and resumes', async () => {
    const server = await startServer({ config: { http: { workers: 2 } } });
    const client = new RegistryClient(server.url, { keepAlive: false });
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        const blob = randomContent(random, 3 * 1024 * 1024);
        const { connection, location } = await beginPatch(server, client, blob);
        const { keeper } = await serverProcesses(server.pid);
        process.kill(keeper ?? 0, 'SIGKILL');
        assert.equal(await connection.status(), 503);
        assert.match(connection.received, /retry-after: \d/i);
        connection.destroy();
        await retry(() => resume(client, location, blob), 20_000);
      }
    } finally {
      client.close();
      await server.kill();
      await server.stop();
    }
  });

  test('as the worker of an upload: its client loses the connection, and resumes', async () => {
    const server = await startServer({ config: { http: { workers: 2 } } });
    const client = new RegistryClient(server.url, { keepAlive: false });
    try {
      const blob = randomContent(random, 3 * 1024 * 1024);
      const { connection, location } = await beginPatch(server, client, blob);
      const { workers } = await serverProcesses(server.pid);
      // Which of them it is does not show: one after the other, each is started again.
      for (const pid of workers) {
        process.kill(pid, 'SIGKILL');
        await retry(async () => {
          const now = await serverProcesses(server.pid);
          assert.equal(now.workers.length, 2);
          assert.ok(!now.workers.includes(pid));
          requireStatus(await client.send('GET', '/v2/'), [200]);
        }, 20_000);
      }
      await connection.untilEnded();
      await retry(() => resume(client, location, blob), 20_000);
    } finally {
      client.close();
      await server.kill();
      await server.stop();
    }
  });

  test('as the keeper: reads go on without it', async () => {
    const server = await startServer({ config: { http: { workers: 2 } } });
    const client = new RegistryClient(server.url, { keepAlive: false });
    try {
      const image = imageOf([randomContent(random, 1000)], 'image');
      await pushImage(client, REPO, image, 'latest');
      requireStatus(await client.send('GET', `/v2/${REPO}/manifests/latest`), [200]);
      for (let kill = 0; kill < 3; kill += 1) {
        const keeper = await retry(async () => {
          const found = (await serverProcesses(server.pid)).keeper;
          assert.ok(found);
          return found;
        }, 10_000);
        process.kill(keeper, 'SIGKILL');
        for (let read = 0; read < 30; read += 1) {
          const answer = await client.send('GET', `/v2/${REPO}/manifests/latest`);
          assert.ok(answer.body.equals(image.manifest.bytes), `${answer.status} ${answer.body.toString()}`);
        }
      }
    } finally {
      client.close();
      await server.kill();
      await server.stop();
    }
  });
});
