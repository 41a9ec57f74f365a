/** Every configuration of this folder is started as it is, but for its paths and its port, and does what it says. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { main } from '../../src/cli/main.ts';
import { imageOf } from '../../test/e2e/support/content.ts';
import { contentsOf, tagged, writeLayout } from '../../test/e2e/support/layout.ts';
import { startServer } from '../../test/support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-storage-examples-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const TESTS: Record<string, (config: Record<string, unknown>) => Promise<void>> = {
  'garbage.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const text: string[] = [];
      const io = { stdout: { write: (more: string) => text.push(more) }, stderr: { write: () => true } };
      assert.equal(await main(['tasks', server.configFile, '--json'], 'zot', io), 0);
      const { jobs } = JSON.parse(text.join('')) as { jobs: { name: string }[] };
      assert.deepEqual(jobs.map(({ name }) => name).toSorted(), [
        'dedupe',
        'dedupe /scratch',
        'gc',
        'gc /scratch',
      ]);
    } finally {
      await server.stop();
    }
  },
  'retention.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const tags = [...Array.from({ length: 12 }, (_, at) => `main-${at}`), 'v1.2.3', 'v2.0.0-rc1'];
      const root = path.join(folder, 'zot', 'team/app');
      const images = tags.map((tag) => [tag, imageOf(tag)] as const);
      const manifests = images.map(([tag, { manifest }]) => tagged(manifest, tag));
      const contents = images.flatMap(([, image]) => contentsOf(image));
      // Pushed a year ago, as far as anybody knows, main-0 first.
      await writeLayout(root, { schemaVersion: 2, manifests }, contents);
      for (const [at, { digest }] of images.map(([, { manifest }]) => manifest).entries()) {
        const written = new Date(Date.now() - 365 * 86_400_000 + at * 60_000);
        utimesSync(path.join(root, 'blobs', ...digest.split(':')), written, written);
      }
      const listed = await fetch(`${server.url}/v2/team/app/tags/list`);
      assert.equal(listed.status, 200);
      const text: string[] = [];
      const io = { stdout: { write: (more: string) => text.push(more) }, stderr: { write: () => true } };
      assert.equal(await main(['retention', 'preview', server.configFile], 'zot', io), 0);
      const gone = text.join('').matchAll(/^ {2}goes {2}(\S+)/gm);
      assert.deepEqual(
        [...gone].map(([, tag]) => tag),
        ['main-0', 'main-1'],
      );
    } finally {
      await server.stop();
      rmSync(path.join(folder, 'zot', 'team'), { recursive: true, force: true });
    }
  },
  'quotas.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const bytes = Buffer.from('some bytes');
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      for (const repo of ['team/scratch/one', 'team/app']) {
        const target = `${server.url}/v2/${repo}/blobs/uploads/?digest=${digest}`;
        assert.equal((await fetch(target, { method: 'POST', body: bytes })).status, 201);
      }
      const begun = await fetch(`${server.url}/v2/team/scratch/one/blobs/uploads/`, { method: 'POST' });
      const upload = `${server.url}${begun.headers.get('location')}`;
      const chunk = { method: 'PATCH', body: Buffer.alloc(1000) };
      assert.equal((await fetch(upload, chunk)).status, 202);
      const text: string[] = [];
      const io = { stdout: { write: (more: string) => text.push(more) }, stderr: { write: () => true } };
      assert.equal(await main(['quota', server.configFile], 'zot', io), 0);
      // The store of all may hold what other examples pushed.
      assert.deepEqual(text.join('').split('\n').slice(1), [
        'team: 10 B of 10.0 GiB used (0%), 1000 B reserved by uploads',
        'team/scratch: 10 B of 1.0 GiB used (0%), 1000 B reserved by uploads',
        '',
      ]);
    } finally {
      await server.stop();
    }
  },
  'dedupe.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const bytes = Buffer.from('the same bytes');
      const hex = createHash('sha256').update(bytes).digest('hex');
      const repos = ['one', 'two', 'archive/one', 'archive/two'];
      for (const repo of repos) {
        const target = `${server.url}/v2/${repo}/blobs/uploads/?digest=sha256:${hex}`;
        const headers = { 'content-type': 'application/octet-stream' };
        assert.equal((await fetch(target, { method: 'POST', headers, body: bytes })).status, 201);
      }
      const inodes = repos.map((repo) => {
        const root = path.join(folder, repo.startsWith('archive/') ? 'zot-archive' : 'zot');
        return statSync(path.join(root, repo, 'blobs/sha256', hex)).ino;
      });
      assert.equal(inodes[0], inodes[1]);
      assert.equal(new Set(inodes).size, 3);
    } finally {
      await server.stop();
    }
  },
};

for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  test(`${file} does what it says`, { timeout: 60_000 }, async () => {
    const text = readFileSync(path.join(import.meta.dirname, file), 'utf8');
    const { storage } = parse(text.replaceAll('/var/lib', folder)) as { storage: Record<string, unknown> };
    const work = TESTS[file];
    assert.ok(work, 'an example without a test');
    await work({ storage });
  });
}
