/**
 * R20, shortened: hundreds of clients that upload and download slowly, some of which leave in the middle. The server
 * serves others meanwhile, and its memory, descriptors and temporary files return to where they were.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { contentOf, imageOf, randomContent } from './support/images.ts';
import type { Content } from './support/images.ts';
import { readLayouts } from './support/layout-truth.ts';
import { pushBlob, pushImage, requireStatus } from './support/pushing.ts';
import { RegistryClient } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { openFiles, residentBytes } from './support/server-processes.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';
import { SlowConnection } from './support/slow-connection.ts';

/** Clients of each kind for each round: 5 rounds are the size of the reliability list. */
const CLIENTS = 200 * roundsOr(1);
const PARTS = 12;
const PART_PAUSE_MS = 150;
const MEBIBYTE = 1024 * 1024;
/** What a server may take from one wave to the next: what the collector has not come to. */
const MEMORY_KEPT_BYTES = 96 * MEBIBYTE;
const FILES_KEPT = 8;

const REPO = 'slow/app';
const large = contentOf(Buffer.alloc(3 * MEBIBYTE, 'large '));

interface Held {
  readonly memory: number;
  readonly files: number;
}

interface SlowUpload {
  readonly connection: SlowConnection;
  readonly blob: Content;
  /** Whether its client leaves in the middle. */
  readonly leaves: boolean;
}

async function beginUploads(server: RunningServer, random: SeededRandom): Promise<SlowUpload[]> {
  const uploads: SlowUpload[] = [];
  for (let at = 0; at < CLIENTS; at += 1) {
    const blob = randomContent(random, PARTS * 600);
    const connection = await SlowConnection.open(server.port);
    const head = { 'content-length': blob.bytes.length };
    connection.begin('POST', `/v2/${REPO}/blobs/uploads/?digest=${blob.digest}`, head);
    uploads.push({ connection, blob, leaves: at % 4 === 3 });
  }
  return uploads;
}

async function beginDownloads(server: RunningServer): Promise<SlowConnection[]> {
  const downloads: SlowConnection[] = [];
  for (let at = 0; at < CLIENTS; at += 1) {
    const connection = await SlowConnection.open(server.port, false);
    connection.begin('GET', `/v2/${REPO}/blobs/${large.digest}`);
    downloads.push(connection);
  }
  return downloads;
}

/** Sends a part and lets everybody read a little, over and over. */
async function creep(uploads: readonly SlowUpload[], downloads: readonly SlowConnection[]): Promise<void> {
  for (let part = 0; part < PARTS; part += 1) {
    for (const { connection, blob, leaves } of uploads) {
      if (leaves && part === PARTS >> 1) connection.destroy();
      else connection.send(blob.bytes.subarray(part * 600, (part + 1) * 600));
    }
    for (const download of downloads) download.resumeReading();
    await pause(5);
    for (const download of downloads) download.stopReading();
    await pause(PART_PAUSE_MS);
  }
}

/** One wave of slow clients; gives what the server held while they were there. */
async function wave(server: RunningServer, random: SeededRandom): Promise<Held> {
  const uploads = await beginUploads(server, random);
  const downloads = await beginDownloads(server);
  const creeping = creep(uploads, downloads);
  const meanwhile = new RegistryClient(server.url);
  await pushImage(meanwhile, REPO, imageOf([randomContent(random, 5000)], 'meanwhile'), 'meanwhile');
  meanwhile.close();
  const during = { memory: await residentBytes(server.pid), files: await openFiles(server.pid) };
  await creeping;
  await requireUploaded(uploads);
  for (const [at, download] of downloads.entries()) {
    // Half of them are read to the end, the others leave.
    if (at % 2 === 0) download.resumeReading();
    else download.destroy();
  }
  await Promise.all(
    downloads.filter((_, at) => at % 2 === 0).map((each) => each.untilReceived(large.bytes.length)),
  );
  for (const { connection } of uploads) connection.destroy();
  for (const download of downloads) download.destroy();
  return during;
}

describe('slow clients', { timeout: timeoutFor(roundsOr(1), 60_000) }, () => {
  test(`leave nothing behind: ${CLIENTS} uploads and ${CLIENTS} downloads`, async (context) => {
    const server = await startServer();
    const client = new RegistryClient(server.url);
    const random = new SeededRandom(seed);
    try {
      requireStatus(await pushBlob(client, REPO, large), [201]);
      // Once at full speed, so that what the server keeps for good is there before it is measured.
      await Promise.all(
        Array.from({ length: 50 }, () => client.send('GET', `/v2/${REPO}/blobs/${large.digest}`)),
      );
      await pushImage(client, REPO, imageOf([randomContent(random, 100)], 'before'), 'before');
      client.close();
      const filesBefore = await settledFiles(server.pid);
      // What a process once took for so many clients it keeps, for the next ones: it must not take more each time.
      await wave(server, random);
      const before = { memory: await residentBytes(server.pid), files: filesBefore };
      const during = await wave(server, random);

      await retry(async () => assert.ok((await openFiles(server.pid)) <= before.files + FILES_KEPT), 20_000);
      await retry(async () => {
        assert.deepEqual((await readLayouts(server.root)).uploads, [], 'uploads are left behind');
      }, 10_000);
      const kept = (await residentBytes(server.pid)) - before.memory;
      assert.ok(kept < MEMORY_KEPT_BYTES, `${Math.round(kept / MEBIBYTE)} MiB more than before`);
      const mebibytes = (bytes: number): number => Math.round(bytes / MEBIBYTE);
      context.diagnostic(
        `memory ${mebibytes(before.memory)} MiB, during ${mebibytes(during.memory)}, ` +
          `after ${mebibytes(before.memory + kept)}; descriptors ${before.files}, during ${during.files}`,
      );
    } finally {
      client.close();
      await server.kill();
      await server.stop();
    }
  });
});

/** Descriptors once the connections that were used are gone. */
async function settledFiles(pid: number): Promise<number> {
  let last = await openFiles(pid);
  return retry(async () => {
    const now = await openFiles(pid);
    const settled = now === last;
    last = now;
    assert.ok(settled);
    return now;
  }, 20_000);
}

async function requireUploaded(uploads: readonly SlowUpload[]): Promise<void> {
  for (const { connection, leaves } of uploads) {
    if (!leaves) assert.equal(await connection.status(), 201);
  }
}
