/** `zot gc` and `zot tasks`: asked of a running server, and of a folder that nobody serves. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { runZot } from '../support/run-zot.ts';
import { startServer } from '../support/server.ts';
import type { RunningServer, ServerOptions } from '../support/server.ts';
import { contentOf, imageOf } from './support/content.ts';
import type { Content } from './support/content.ts';

let folder = '';
before(async () => (folder = await mkdtemp(path.join(tmpdir(), 'zot-gc-'))));
after(() => rm(folder, { recursive: true }));

const image = imageOf('collected');
const orphan = contentOf('nobody needs this', 'application/octet-stream');
const WAIT_MAX_MS = 30_000;

interface Report {
  readonly dryRun: boolean;
  readonly stores: readonly { readonly store: string; readonly blobs: number; readonly buried: number }[];
}

async function gc(...words: string[]): Promise<Report> {
  const { exitCode, text, errors } = await runZot('gc', ...words, '--json');
  assert.equal(exitCode, 0, errors);
  return JSON.parse(text) as Report;
}

async function push(server: RunningServer, blobs: readonly Content[], tag: string | null): Promise<void> {
  for (const { bytes, digest } of blobs) {
    const target = `${server.url}/v2/app/blobs/uploads/?digest=${digest}`;
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await fetch(target, { method: 'POST', headers, body: Buffer.from(bytes) });
    assert.equal(answer.status, 201, await answer.text());
  }
  if (tag === null) return;
  const { bytes, mediaType } = image.manifest;
  const headers = { 'content-type': mediaType };
  const put = { method: 'PUT', headers, body: Buffer.from(bytes) };
  const answer = await fetch(`${server.url}/v2/app/manifests/${tag}`, put);
  assert.equal(answer.status, 201, await answer.text());
}

const fileOf = (root: string, { digest }: Content): string =>
  path.join(root, 'app/blobs', ...digest.split(':'));
const serve = (name: string, storage: Record<string, unknown> = {}, more: ServerOptions = {}) =>
  startServer({ ...more, root: path.join(folder, name), config: { storage } });

test(
  'a running server leaves what is young, and shows its background work',
  { timeout: 60_000 },
  async () => {
    const server = await serve('young');
    try {
      await push(server, [image.config, ...image.layers, orphan], 'v1');
      for (const flags of [['--dry-run'], ['--full'], []]) {
        const { dryRun, stores } = await gc(server.configFile, ...flags);
        assert.equal(dryRun, flags[0] === '--dry-run');
        assert.deepEqual(
          stores.map(({ blobs, buried }) => [blobs, buried]),
          [[0, 0]],
        );
      }
      const { exitCode, text } = await runZot('tasks', server.configFile);
      assert.equal(exitCode, 0);
      assert.match(text, /^gc \(medium\): (waiting|running)/);
      assert.ok(existsSync(fileOf(server.root, orphan)));
    } finally {
      await server.stop();
    }
  },
);

test(
  'a running server collects by itself what is old, and nothing that is needed',
  { timeout: 90_000 },
  async () => {
    const server = await serve('old', { gcDelay: '1s', gcInterval: '1s' });
    try {
      await push(server, [image.config, ...image.layers], 'v1');
      await push(server, [orphan], null);
      const isDone = (): boolean => server.stdout().includes('garbage collected blobs');
      await eventually(isDone, WAIT_MAX_MS, 'it is collected');
      assert.equal(existsSync(fileOf(server.root, orphan)), false);
      for (const { digest } of [image.config, ...image.layers]) {
        assert.equal((await fetch(`${server.url}/v2/app/blobs/${digest}`)).status, 200);
      }
      const log = server.stdout();
      for (const text of [
        'executing gc of orphaned blobs for',
        'gc successfully completed for',
        'garbage collected blobs',
      ])
        assert.ok(log.includes(text), `the log lacks "${text}"`);
    } finally {
      await server.stop();
    }
  },
);

test('a folder that nobody serves is collected here, without a grace', { timeout: 60_000 }, async () => {
  const server = await serve('offline');
  const { root } = server;
  try {
    await push(server, [image.config, ...image.layers], 'v1');
    await push(server, [orphan], null);
  } finally {
    await server.stop();
  }
  const long = new Date(Date.now() - 7_200_000);
  await utimes(fileOf(root, orphan), long, long);
  // Without the index nobody knows when the blob came, but by its file.
  for (const name of await readdir(path.join(root, '_zot')))
    if (name.startsWith('index.db')) await rm(path.join(root, '_zot', name));
  const dry = await gc(root, '--full', '--dry-run');
  assert.deepEqual(
    dry.stores.map(({ blobs }) => blobs),
    [1],
  );
  assert.ok(existsSync(fileOf(root, orphan)));
  const { stores } = await gc(root, '--full');
  assert.deepEqual(
    stores.map(({ blobs }) => blobs),
    [1],
  );
  assert.equal(existsSync(fileOf(root, orphan)), false);
  for (const layer of image.layers) assert.ok(existsSync(fileOf(root, layer)));
  assert.match((await runZot('tasks', root)).text, /no background work/);
});

test('a folder that is not there is refused in one line', async () => {
  const { exitCode, errors } = await runZot('gc', path.join(folder, 'none.json'));
  assert.equal(exitCode, 1);
  assert.match(errors, /^Error: [^\n]+\n$/);
});
