/**
 * R23: the index is a mirror that may be lost at any time. Deleted, older, taken from another folder, damaged in any
 * way: after a start the answers are those of the layout. The records hold what exists nowhere else: damaged, they
 * are refused in words.
 */
import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { StartError } from '#lib/start-error';
import { startServer } from '../support/server.ts';
import { serveInProcess } from './support/in-process-server.ts';
import { imageOf, randomContent } from './support/images.ts';
import { pushBlob, pushImage, requireStatus } from './support/pushing.ts';
import { RegistryClient } from './support/registry-client.ts';
import { answersOf, fillRepository, onCopy } from './support/sample-folder.ts';
import type { SampleRepository } from './support/sample-folder.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { remarks, serverProcesses } from './support/server-processes.ts';
import { retry } from '../support/eventually.ts';

let base = '';
let other = '';
let samples: readonly SampleRepository[] = [];
let expected: Record<string, string> = {};

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'zot-index-database-'));
  other = await mkdtemp(join(tmpdir(), 'zot-index-database-'));
  const elsewhere = await serveInProcess({ root: other });
  await fillRepository(elsewhere.url, 'library/app');
  await fillRepository(elsewhere.url, 'elsewhere/app');
  await elsewhere.close();
  const server = await serveInProcess({ root: base });
  const first = await fillRepository(server.url, 'library/app');
  await copyFile(join(base, '_zot/index.db'), join(other, 'older.db'));
  samples = [
    first,
    await fillRepository(server.url, 'team'),
    await fillRepository(server.url, 'team/nested/app'),
  ];
  expected = await answersOf(server.url, samples);
  await server.close();
});
after(async () => {
  for (const root of [base, other]) await rm(root, { recursive: true, force: true });
});

async function removeIndex(root: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(join(root, `_zot/index.db${suffix}`), { force: true });
}

async function overwrite(path: string, from: number, length: number): Promise<void> {
  const bytes = await readFile(path);
  bytes.fill(0xa5, from, Math.min(bytes.length, from + length));
  await writeFile(path, bytes);
}

interface Damage {
  readonly name: string;
  readonly inflict: (root: string) => Promise<void>;
}

const index = (root: string): string => join(root, '_zot/index.db');

const damages: readonly Damage[] = [
  { name: 'deleted', inflict: removeIndex },
  {
    name: 'deleted with the whole folder of ours',
    inflict: (root) => rm(join(root, '_zot'), { recursive: true }),
  },
  { name: 'an older copy', inflict: (root) => copyFile(join(other, 'older.db'), index(root)) },
  { name: 'that of another folder', inflict: (root) => copyFile(index(other), index(root)) },
  { name: 'empty', inflict: (root) => writeFile(index(root), '') },
  { name: 'garbage', inflict: (root) => writeFile(index(root), 'garbage '.repeat(2000)) },
  { name: 'cut off', inflict: async (root) => truncate(index(root), (await stat(index(root))).size >> 1) },
  { name: 'a damaged head', inflict: (root) => overwrite(index(root), 20, 60) },
  { name: 'damaged pages', inflict: (root) => overwrite(index(root), 4096, 1 << 20) },
  {
    name: 'a journal of garbage',
    inflict: (root) => writeFile(`${index(root)}-wal`, 'garbage '.repeat(2000)),
  },
  {
    name: 'another program’s database',
    inflict: (root) => copyFile(join(root, '_zot/records.db'), index(root)),
  },
];

describe('the index, before a start', { timeout: 120_000 }, () => {
  for (const { name, inflict } of damages) {
    test(`is built again, and the answers are the same: ${name}`, async () => {
      await onCopy(base, async (root) => {
        await inflict(root);
        const server = await serveInProcess({ root });
        try {
          assert.deepEqual(await answersOf(server.url, samples), expected);
          const image = imageOf([randomContent(new SeededRandom(5), 100)], 'pushed afterwards');
          await pushImage(server.client, 'team', image, 'afterwards');
          const pulled = await server.client.send('GET', '/v2/team/manifests/afterwards');
          assert.ok(pulled.body.equals(image.manifest.bytes));
        } finally {
          await server.close();
        }
      });
    });
  }

  test('knows again which repositories hold a blob, so that mounts go on to work', async () => {
    await onCopy(base, async (root) => {
      await removeIndex(root);
      const server = await serveInProcess({ root });
      try {
        const { digest } = samples[0]?.image.blobs[1] ?? assert.fail();
        const mount = await server.client.send('POST', `/v2/mounted/app/blobs/uploads/?mount=${digest}`);
        assert.equal(mount.status, 201, mount.body.toString());
      } finally {
        await server.close();
      }
    });
  });

  test('knows again how long blobs are, so that one that is cut off is not served', async () => {
    await onCopy(base, async (root) => {
      await removeIndex(root);
      const sample = samples[0] ?? assert.fail();
      const { digest } = sample.image.blobs[1] ?? assert.fail();
      await truncate(join(root, sample.name, 'blobs', ...digest.split(':')), 100);
      const server = await serveInProcess({ root });
      try {
        const answer = await server.client.send('GET', `/v2/${sample.name}/blobs/${digest}`);
        assert.equal(answer.status, 404);
      } finally {
        await server.close();
      }
    });
  });
});

describe('the index, under running processes', { timeout: 120_000 }, () => {
  const losses: readonly Damage[] = [
    { name: 'deleted', inflict: removeIndex },
    { name: 'overwritten with garbage', inflict: (root) => writeFile(index(root), 'garbage '.repeat(5000)) },
  ];
  for (const { name, inflict } of losses) {
    test(`is made anew by the next keeper, and every process sees that: ${name}`, async () => {
      await onCopy(base, async (root) => {
        const server = await startServer({ root, config: { http: { workers: 2 } } });
        const client = new RegistryClient(server.url, { keepAlive: false });
        try {
          await inflict(root);
          const { keeper } = await serverProcesses(server.pid);
          assert.ok(keeper);
          process.kill(keeper, 'SIGKILL');
          const image = imageOf([randomContent(new SeededRandom(6), 100)], 'pushed to the next keeper');
          await retry(() => pushImage(client, 'team', image, 'next'), 15_000).catch((error: unknown) => {
            throw new Error(remarks(server.stdout()), { cause: error });
          });
          // Connections of their own go to either process.
          for (let attempt = 0; attempt < 20; attempt += 1) {
            const pulled = await client.send('GET', '/v2/team/manifests/next');
            assert.equal(pulled.status, 200, `attempt ${attempt}: ${pulled.body.toString()}`);
            const tags = await client.send('GET', '/v2/team/tags/list');
            assert.match(tags.body.toString(), /"next"/);
          }
        } finally {
          client.close();
          await server.kill();
          await server.stop();
        }
      });
    });
  }
});

describe('the records', { timeout: 60_000 }, () => {
  test('are begun anew when they are absent', async () => {
    await onCopy(base, async (root) => {
      await rm(join(root, '_zot/records.db'));
      const server = await serveInProcess({ root });
      try {
        assert.deepEqual(await answersOf(server.url, samples), expected);
      } finally {
        await server.close();
      }
    });
  });

  for (const [name, inflict] of [
    ['garbage', (path: string) => writeFile(path, 'garbage '.repeat(2000))],
    ['a damaged head', (path: string) => overwrite(path, 16, 60)],
  ] as const) {
    test(`refuse the start in words when they are damaged: ${name}`, async () => {
      await onCopy(base, async (root) => {
        await inflict(join(root, '_zot/records.db'));
        await assert.rejects(serveInProcess({ root }), (error) => {
          assert.ok(error instanceof StartError, String(error));
          assert.match(error.message, /records\.db cannot be used/);
          return true;
        });
      });
    });
  }
});

test('a copy of the folder without its index, taken while it is served, gives the same answers', async () => {
  await onCopy(base, async (root) => {
    const server = await serveInProcess({ root });
    const copy = await mkdtemp(join(tmpdir(), 'zot-index-database-'));
    try {
      await mkdir(copy, { recursive: true });
      await cp(root, copy, { recursive: true, filter: (path) => !path.includes('/_zot') });
      const second = await serveInProcess({ root: copy });
      assert.deepEqual(await answersOf(second.url, samples), expected);
      requireStatus(await pushBlob(second.client, 'team', randomContent(new SeededRandom(1), 10)), [201]);
      await second.close();
    } finally {
      await server.close();
      await rm(copy, { recursive: true, force: true });
    }
  });
});
