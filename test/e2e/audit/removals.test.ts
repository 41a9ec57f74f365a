/** What collection removes is in the audit log, each thing with its reason; what it only would remove is not. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runZot } from '../../support/run-zot.ts';
import { startServer, type RunningServer } from '../../support/server.ts';
import { eventually } from '../../support/eventually.ts';
import { contentOf, imageOf } from '../support/content.ts';

type Line = Readonly<Record<string, unknown>>;

const image = imageOf('removed');
const blobs = [image.config, ...image.layers];
const orphan = contentOf('nobody names this', 'application/octet-stream');
const PATIENCE_MS = 60_000;

describe('removals in the audit log', { timeout: 120_000 }, () => {
  let folder: string;
  let audit: string;
  let server: RunningServer;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'zot-removals-'));
    audit = path.join(folder, 'audit.log');
    server = await startServer({
      root: path.join(folder, 'data'),
      config: {
        http: { workers: 2 },
        storage: { gc: true, gcDelay: '1s', gcInterval: '1s' },
        log: { audit },
      },
    });
  });
  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  const removals = async (): Promise<Line[]> => {
    const lines = (await readFile(audit, 'utf8')).split('\n').filter((line) => line.includes('"removed"'));
    return lines.map((line) => JSON.parse(line) as Line);
  };

  const call = async (method: string, target: string, body?: Buffer, type = 'application/octet-stream') => {
    const answer = await fetch(`${server.url}${target}`, {
      method,
      headers: { 'content-type': type },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    });
    assert.ok(answer.ok, `${method} ${target}: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer().catch(() => undefined);
  };

  it('are those of manifests, blobs, uploads and repositories', async () => {
    for (const { bytes, digest } of [...blobs, orphan])
      await call('POST', `/v2/app/blobs/uploads/?digest=${digest}`, bytes);
    await call('PUT', '/v2/app/manifests/v1', image.manifest.bytes, image.manifest.mediaType);
    await call('POST', '/v2/app/blobs/uploads/');
    await eventually(async () => (await removals()).length >= 2, PATIENCE_MS, 'the orphan and the upload go');
    const first = await removals();
    assert.deepEqual(
      first.map(({ digest = 'none', reason }) => `${String(reason)} ${String(digest)}`).toSorted(),
      ['abandoned upload none', `unreferenced blob ${orphan.digest}`],
    );
    await call('DELETE', '/v2/app/manifests/v1');
    const isDone = async (): Promise<boolean> =>
      (await removals()).some(({ reason }) => reason === 'empty repository');
    await eventually(isDone, PATIENCE_MS, 'all of it goes');
    const later = (await removals()).slice(first.length);
    const expected = [
      `deleteUntagged ${image.manifest.digest}`,
      'empty repository none',
      ...[...blobs, image.manifest].map(({ digest }) => `unreferenced blob ${digest}`),
    ];
    assert.deepEqual(
      later.map(({ digest = 'none', reason }) => `${String(reason)} ${String(digest)}`).toSorted(),
      expected.toSorted(),
    );
    for (const line of [...first, ...later]) {
      assert.deepEqual([line['module'], line['repository'], line['decision']], ['gc', 'app', 'delete']);
      assert.equal(line['process'], 'keeper');
    }
  });

  it('are none of a dry run', async () => {
    // One sweep at the start, and none after it: what is removed here, the command removed.
    const storage = { gc: true, gcDelay: '1s', gcInterval: '1h', gcMaxSchedulerDelay: '0s' };
    const config = { storage, log: { audit: path.join(folder, 'dry.log') } };
    const idle = await startServer({ root: path.join(folder, 'dry'), config });
    try {
      const target = `/v2/dry/blobs/uploads/?digest=${orphan.digest}`;
      const headers = { 'content-type': 'application/octet-stream' };
      const pushed = await fetch(`${idle.url}${target}`, {
        method: 'POST',
        headers,
        body: Buffer.from(orphan.bytes),
      });
      assert.equal(pushed.status, 201, await pushed.text());
      const isFound = async (): Promise<boolean> => {
        const { exitCode, text, errors } = await runZot('gc', idle.configFile, '--dry-run');
        assert.equal(exitCode, 0, errors);
        return text.includes('would remove 0 tags, 0 manifests, 1 blobs');
      };
      await eventually(isFound, PATIENCE_MS, 'the blob is old enough');
      assert.ok(!(await readFile(config.log.audit, 'utf8')).includes('"removed"'));
    } finally {
      await idle.stop();
    }
  });
});
