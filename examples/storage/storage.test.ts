/** Every configuration of this folder is started as it is, but for its paths and its port, and does what it says. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { runZot, zotJson } from '../../test/support/run-zot.ts';
import { imageOf } from '../../test/e2e/support/content.ts';
import { contentsOf, tagged, writeLayout } from '../../test/e2e/support/layout.ts';
import { eventually } from '../../test/support/eventually.ts';
import { startServer } from '../../test/support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-storage-examples-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const TESTS: Record<string, (config: Record<string, unknown>) => Promise<void>> = {
  'garbage.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const { jobs } = await zotJson<{ jobs: { name: string }[] }>('tasks', server.configFile);
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
      // The first round of collection would remove what the preview is to show.
      await eventually(() => hasCollected(server.configFile), 20_000, 'the first collection has ended');
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
      const { exitCode, text, errors } = await runZot('retention', 'preview', server.configFile);
      assert.equal(exitCode, 0, errors);
      const gone = text.matchAll(/^ {2}goes {2}(\S+)/gm);
      assert.deepEqual(
        [...gone].map(([, tag]) => tag),
        ['main-0', 'main-1'],
      );
    } finally {
      await server.stop();
      rmSync(path.join(folder, 'zot', 'team'), { recursive: true, force: true });
    }
  },
  'undo.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const one = await pushManifest(server.url, 'apps/undo', 'latest', 'one');
      await pushManifest(server.url, 'apps/undo', 'latest', 'two');
      const restored = await runZot('tag', 'restore', server.configFile, 'apps/undo:latest');
      assert.equal(restored.exitCode, 0, restored.errors);
      const pulled = await fetch(`${server.url}/v2/apps/undo/manifests/latest`);
      assert.equal(pulled.headers.get('docker-content-digest'), one);
      const history = await runZot('tag', 'history', server.configFile, 'apps/undo:latest');
      assert.equal(history.exitCode, 0, history.errors);
      assert.match(history.text, /  restored  /);
      await pushManifest(server.url, 'scratch/undo', 'latest', 'one');
      const none = await fetch(`${server.url}/v2/scratch/undo/_oci/tag-history/latest`);
      assert.equal(none.status, 404);
    } finally {
      await server.stop();
    }
  },
  'immutable.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      for (const seed of ['one', 'two']) await pushManifest(server.url, 'release/app', 'v1.2.3-rc1', seed);
      await pushManifest(server.url, 'release/app', 'v1.2.3', 'one');
      await assert.rejects(pushManifest(server.url, 'release/app', 'v1.2.3', 'two'), /409.*is immutable/s);
    } finally {
      await server.stop();
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
      const { exitCode, text, errors } = await runZot('quota', server.configFile);
      assert.equal(exitCode, 0, errors);
      // The store of all may hold what other examples pushed.
      assert.deepEqual(text.split('\n').slice(1), [
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

/** Pushes an artifact without layers; gives its digest. Throws what the server refused it with. */
async function pushManifest(url: string, repo: string, tag: string, seed: string): Promise<string> {
  const empty = Buffer.from('{}');
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(empty), size: 2 };
  const upload = `${url}/v2/${repo}/blobs/uploads/?digest=${config.digest}`;
  assert.equal((await fetch(upload, { method: 'POST', body: empty })).status, 201);
  const manifest = { schemaVersion: 2, mediaType, config, layers: [], annotations: { seed } };
  const body = Buffer.from(JSON.stringify(manifest));
  const put = { method: 'PUT', headers: { 'content-type': mediaType }, body };
  const answer = await fetch(`${url}/v2/${repo}/manifests/${tag}`, put);
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  return digestOf(body);
}

async function hasCollected(configFile: string): Promise<boolean> {
  const { jobs } = await zotJson<{ jobs: { name: string; last: unknown }[] }>('tasks', configFile);
  return jobs.some(({ name, last }) => name === 'gc' && last !== null);
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  test(`${file} does what it says`, { timeout: 60_000 }, async () => {
    const text = readFileSync(path.join(import.meta.dirname, file), 'utf8');
    const { storage } = parse(text.replaceAll('/var/lib', folder)) as { storage: Record<string, unknown> };
    const work = TESTS[file];
    assert.ok(work, 'an example without a test');
    await work({ storage });
  });
}
