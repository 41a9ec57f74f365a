import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { pino } from 'pino';
import { RegistryError } from '#oci/errors';
import { newUploadId } from '#oci/upload-id';
import type { UploadRef } from '#registry';
import { StorageError } from '#storage';
import { openKeeper, pushOf, type OpenedKeeper } from '../../test/support/opened-keeper.ts';
import { serveKeeper } from './keeper-server.ts';
import { RemoteKeeper } from './remote-keeper.ts';
import { fromWire, toWire } from './wire-errors.ts';

const logger = pino({ level: 'silent' });
let folder = '';
let socketPath = '';
let opened: OpenedKeeper;
let server: Server;
const connections = new Set<Socket>();
const remotes: RemoteKeeper[] = [];

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'zot-remote-'));
});
after(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  opened = await openKeeper();
  socketPath = path.join(folder, `${remotes.length}.sock`);
  server = await serve();
});
afterEach(async () => {
  await Promise.all(remotes.map((remote) => remote.close()));
  stopServing();
  await opened.close();
});

async function serve(): Promise<Server> {
  const serving = await serveKeeper(opened.keeper, socketPath, logger);
  serving.on('connection', (socket) => connections.add(socket));
  return serving;
}

/** As the end of a keeper's process: nobody listens, and all connections are gone. */
function stopServing(): void {
  server.close();
  for (const socket of connections) socket.destroy();
  connections.clear();
}

async function connect(): Promise<RemoteKeeper> {
  const remote = new RemoteKeeper(socketPath);
  remotes.push(remote);
  await remote.connect();
  return remote;
}

async function startUpload(): Promise<UploadRef> {
  return { repo: opened.repo, id: await opened.store.startUpload() };
}

/** The end of a test ends its claims; nobody may want them before. */
const noRevoke = (why: string): void => assert.equal(why, 'keeper gone');

test('calls are carried out by the keeper, and their answers and refusals come back as they are', async () => {
  const remote = await connect();
  const config = await opened.putBlob('{}', 'application/vnd.oci.empty.v1+json');
  const push = pushOf(opened.repo, { config, layers: [] }, ['v1']);
  await remote.pushManifest(push);
  assert.deepEqual(await opened.index.listTags(opened.repo, { after: '', limit: 5 }), ['v1']);
  assert.deepEqual(await remote.probe(), await opened.keeper.probe());
  const missing = pushOf(opened.repo, {
    config: { ...config, digest: `sha256:${'1'.repeat(64)}` },
    layers: [],
  });
  await assert.rejects(remote.pushManifest(missing), (error) => {
    assert.ok(error instanceof RegistryError);
    assert.equal(error.code, 'MANIFEST_BLOB_UNKNOWN');
    assert.deepEqual(error.detail?.['missing'], [`sha256:${'1'.repeat(64)}`]);
    return true;
  });
});

test('many calls at once get each their own answer', async () => {
  const remote = await connect();
  const config = await opened.putBlob('{}', 'application/vnd.oci.empty.v1+json');
  const pushes = Array.from({ length: 200 }, (_, at) =>
    pushOf(opened.repo, { config, layers: [], annotations: { at: String(at) } }, [`t${at}`]),
  );
  await Promise.all(pushes.map((push) => remote.pushManifest(push)));
  assert.equal((await opened.index.listTags(opened.repo, { after: '', limit: 500 })).length, 200);
});

test('a holder in one process is asked to let go when another process wants the upload', async () => {
  const [one, other] = [await connect(), await connect()];
  const upload = await startUpload();
  const { promise: asked, resolve } = Promise.withResolvers<string>();
  await one.claimUpload(upload, resolve);
  const claimed = other.claimUpload(upload, noRevoke);
  assert.equal(await asked, 'wanted');
  const digest = (await opened.putBlob('x')).digest;
  await one.releaseUpload(upload, { sizeBytes: 1, digest });
  assert.deepEqual(await claimed, { sizeBytes: 1, digest });
});

test('the claims of a process that is gone are given back', async () => {
  const [one, other] = [await connect(), await connect()];
  const upload = await startUpload();
  await one.claimUpload(upload, () => undefined);
  await one.close();
  assert.equal(await other.claimUpload(upload, noRevoke), null);
});

test('when the keeper goes away holders are told, and later calls find the next one', async () => {
  const remote = await connect();
  const upload = await startUpload();
  const { promise: told, resolve } = Promise.withResolvers<string>();
  await remote.claimUpload(upload, resolve);
  stopServing();
  assert.equal(await told, 'keeper gone');
  const later = remote.probe();
  server = await serve();
  assert.ok(await later);
  // A claim that ended with its keeper is not given back to the next one.
  await remote.releaseUpload(upload, null);
});

test('a call that was under way when the keeper went away fails with 503', async () => {
  const remote = await connect();
  const upload = await startUpload();
  const holder = await connect();
  await holder.claimUpload(upload, () => undefined);
  const waiting = remote.claimUpload(upload, () => undefined);
  const refused = assert.rejects(
    waiting,
    (error) => error instanceof RegistryError && error.code === 'UNAVAILABLE',
  );
  await remote.probe();
  stopServing();
  await refused;
  server = await serve();
});

test('errors keep what clients need on their way between processes', () => {
  const refusal = new RegistryError('DENIED', {
    status: 405,
    message: 'in use',
    detail: { digest: 'x' },
    retryAfterSeconds: 3,
    headers: { 'x-y': 'z' },
  });
  const back = fromWire(structuredClone(toWire(refusal)));
  assert.ok(back instanceof RegistryError);
  const { code, status, message, detail, retryAfterSeconds, headers } = back;
  assert.deepEqual(
    { code, status, message, detail, retryAfterSeconds, headers },
    {
      code: 'DENIED',
      status: 405,
      message: 'in use',
      detail: { digest: 'x' },
      retryAfterSeconds: 3,
      headers: { 'x-y': 'z' },
    },
  );
  const fault = fromWire(
    structuredClone(toWire(new StorageError('full', 'a/b', { cause: new Error('ENOSPC') }))),
  );
  assert.ok(fault instanceof StorageError && fault.fault === 'full' && /ENOSPC/.test(fault.message));
  assert.match(fromWire(toWire(new TypeError('a bug'))).message, /a bug/);
  assert.match(fromWire(toWire('text')).message, /text/);
});

test('an upload that nobody began is unknown also from afar', async () => {
  const remote = await connect();
  const upload = { repo: opened.repo, id: newUploadId() };
  const { digest } = await opened.putBlob('y');
  await remote.claimUpload(upload, noRevoke);
  await assert.rejects(remote.finishUpload(upload, { digest, sizeBytes: 1 }), /blob upload unknown/);
  assert.equal(await remote.cancelUpload({ ...upload, id: newUploadId() }), false);
});
