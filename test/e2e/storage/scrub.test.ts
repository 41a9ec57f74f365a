/** `zot scrub` and `extensions.scrub`: damage is found, named, never served, and mended. */
import assert from 'node:assert/strict';
import { appendFile, cp, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { rot } from '../../support/rot.ts';
import { runZot } from '../../support/run-zot.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { contentOf, descriptorOf, imageOf, manifestOf } from '../support/content.ts';
import type { Content, Image } from '../support/content.ts';

const PATIENCE_MS = 30_000;
let folder = '';
before(async () => (folder = await mkdtemp(path.join(tmpdir(), 'zot-scrub-'))));
after(() => rm(folder, { recursive: true }));

interface Report {
  readonly images: number;
  readonly affected: number;
  readonly damaged: number;
  readonly mended: number;
  readonly contents: number;
  readonly affectedImages: readonly { readonly repository: string; readonly tag: string }[];
  readonly damage: readonly { readonly repository: string; readonly digest: string; readonly kind: string }[];
}

async function scrub(target: string, exitCode = 0): Promise<Report> {
  const done = await runZot('scrub', target, '--json');
  assert.equal(done.exitCode, exitCode, done.errors || done.text);
  return JSON.parse(done.text) as Report;
}

const fileOf = (root: string, repo: string, { digest }: Pick<Content, 'digest'>): string =>
  path.join(root, repo, 'blobs', ...digest.split(':'));

async function pushBlob(server: RunningServer, repo: string, { digest, bytes }: Content): Promise<void> {
  const target = `${server.url}/v2/${repo}/blobs/uploads/?digest=${digest}`;
  const headers = { 'content-type': 'application/octet-stream' };
  const answer = await fetch(target, { method: 'POST', headers, body: Buffer.from(bytes) });
  assert.equal(answer.status, 201, await answer.text());
}

const putManifest = (server: RunningServer, repo: string, { bytes, mediaType }: Content, tag: string) =>
  fetch(`${server.url}/v2/${repo}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body: Buffer.from(bytes),
  });

/** As clients do: what HEAD says is there is not sent again. */
async function push(server: RunningServer, repo: string, image: Image, tag = 'v1'): Promise<void> {
  for (const blob of [image.config, ...image.layers]) {
    const head = await fetch(`${server.url}/v2/${repo}/blobs/${blob.digest}`, { method: 'HEAD' });
    if (head.status === 404) await pushBlob(server, repo, blob);
  }
  const put = await putManifest(server, repo, image.manifest, tag);
  assert.equal(put.status, 201, await put.text());
}

const get = (server: RunningServer, target: string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/v2/${target}`, { headers });

async function assertRefused(server: RunningServer, target: string, code: string): Promise<void> {
  const answers = [await get(server, target), await get(server, target, { range: 'bytes=0-3' })];
  for (const answer of answers) {
    assert.equal(answer.status, 404);
    const { errors } = (await answer.json()) as { errors: { code: string; detail: { reason?: string } }[] };
    assert.equal(errors[0]?.code, code);
    assert.equal(errors[0]?.detail.reason, 'damaged');
  }
  const head = await fetch(`${server.url}/v2/${target}`, { method: 'HEAD' });
  assert.equal(head.status, 404);
}

const until = (what: string, holds: () => Promise<boolean> | boolean): Promise<number> =>
  eventually(holds, PATIENCE_MS, what);

async function assertServed(server: RunningServer, repo: string, image: Image): Promise<void> {
  for (const blob of [image.config, ...image.layers]) {
    const answer = await get(server, `${repo}/blobs/${blob.digest}`);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), blob.bytes);
  }
  const manifest = await get(server, `${repo}/manifests/v1`);
  assert.deepEqual(Buffer.from(await manifest.arrayBuffer()), image.manifest.bytes);
}

for (const workers of [1, 2]) {
  describe(`a scrub of a running server, with ${workers} serving`, { timeout: 120_000 }, () => {
    const image = imageOf(`scrubbed ${workers}`);
    const [layer] = image.layers;
    assert.ok(layer);
    let server: RunningServer;
    before(async () => {
      const subPaths = { '/copy': { rootDirectory: path.join(folder, `copy-${workers}`), dedupe: true } };
      server = await startServer({ config: { storage: { dedupe: true, subPaths }, http: { workers } } });
      for (const repo of ['team/a', 'team/b']) await push(server, repo, image);
    });
    after(() => server.stop());

    test('finds a flipped bit for both names of the file; a push mends both', async () => {
      const sound = await scrub(server.configFile);
      assert.deepEqual([sound.images, sound.damaged, sound.damage.length], [2, 0, 0]);
      await rot(fileOf(server.root, 'team/a', layer));
      const report = await scrub(server.configFile, 2);
      const found = report.damage.map(({ repository, digest, kind }) => `${repository} ${digest} ${kind}`);
      assert.deepEqual(found, [`team/a ${layer.digest} wrong-digest`, `team/b ${layer.digest} wrong-digest`]);
      assert.equal(report.affected, 2);
      for (const repo of ['team/a', 'team/b'])
        await assertRefused(server, `${repo}/blobs/${layer.digest}`, 'BLOB_UNKNOWN');
      const mount = `${server.url}/v2/team/c/blobs/uploads/?mount=${layer.digest}&from=team/a`;
      assert.equal((await fetch(mount, { method: 'POST' })).status, 202);
      const needing = manifestOf({ config: descriptorOf(image.config), layers: [descriptorOf(layer)] });
      const refused = await putManifest(server, 'team/a', needing, 'v2');
      assert.equal(refused.status, 400);
      assert.match(await refused.text(), new RegExp(`MANIFEST_BLOB_UNKNOWN.*${layer.digest}`));
      await push(server, 'team/b', image);
      await until('the other name is mended', async () => {
        return (await get(server, `team/a/blobs/${layer.digest}`)).status === 200;
      });
      for (const repo of ['team/a', 'team/b']) await assertServed(server, repo, image);
      assert.equal((await scrub(server.configFile)).damaged, 0);
    });

    test('mends from a sub path without a push, and says so', async () => {
      await push(server, 'copy/a', image);
      await rot(fileOf(server.root, 'team/b', layer));
      const report = await scrub(server.configFile);
      assert.ok(report.mended >= 1);
      assert.deepEqual(report.damage, []);
      for (const repo of ['team/a', 'team/b', 'copy/a']) await assertServed(server, repo, image);
    });

    test('refuses a damaged manifest, and leaves it out of the referrers, until it is pushed again', async () => {
      const { digest, bytes } = image.manifest;
      const subject = { mediaType: image.manifest.mediaType, digest, size: bytes.length };
      const members = { config: descriptorOf(image.config), layers: [descriptorOf(layer)], subject };
      const signature = manifestOf({ ...members, artifactType: 'application/vnd.example.signature' });
      assert.equal((await putManifest(server, 'team/a', signature, 'signature')).status, 201);
      const referrers = async (): Promise<number> => {
        const list = (await (await get(server, `team/a/referrers/${digest}`)).json()) as { manifests: [] };
        return list.manifests.length;
      };
      assert.equal(await referrers(), 1);
      await rot(fileOf(server.root, 'team/a', signature));
      await scrub(server.configFile, 2);
      assert.equal(await referrers(), 0);
      await assertRefused(server, `team/a/manifests/signature`, 'MANIFEST_UNKNOWN');
      await assertRefused(server, `team/a/manifests/${signature.digest}`, 'MANIFEST_UNKNOWN');
      assert.equal((await putManifest(server, 'team/a', signature, 'signature')).status, 201);
      assert.equal(await referrers(), 1);
      assert.equal((await get(server, 'team/a/manifests/signature')).status, 200);
      assert.equal((await scrub(server.configFile)).damaged, 0);
    });

    test('a pull that meets a file that was cut off tells all', async () => {
      const loose = contentOf(`cut off ${workers}`, 'application/octet-stream');
      for (const repo of ['team/a', 'team/b']) await pushBlob(server, repo, loose);
      await truncate(fileOf(server.root, 'team/a', loose), 4);
      await assertRefused(server, `team/b/blobs/${loose.digest}`, 'BLOB_UNKNOWN');
      await assertRefused(server, `team/a/blobs/${loose.digest}`, 'BLOB_UNKNOWN');
      const remove = { method: 'DELETE' };
      for (const repo of ['team/a', 'team/b'])
        assert.equal((await fetch(`${server.url}/v2/${repo}/blobs/${loose.digest}`, remove)).status, 202);
      assert.equal((await scrub(server.configFile)).damaged, 0);
    });
  });
}

interface State {
  readonly startedMs: number;
  readonly finishedMs: number | null;
  readonly counts: { readonly contents: number };
}

describe('the periodic scrub', { timeout: 120_000 }, () => {
  const seen = (server: RunningServer, text: string): number => server.stdout().split(text).length - 1;
  const stateOf = async (root: string): Promise<State> =>
    JSON.parse(await readFile(path.join(root, '_zot/scrub.json'), 'utf8')) as State;

  test('finds damage by itself, goes on after kill -9, and follows the configuration', async () => {
    const root = path.join(folder, 'periodic');
    const image = imageOf('periodic');
    const big = contentOf(Buffer.alloc(3_000_000, 7), 'application/octet-stream');
    const repos = ['a', 'b', 'c', 'd', 'e'].map((name) => `periodic/${name}`);
    const first = await startServer({ root, config: { storage: { dedupe: false } } });
    for (const repo of repos) {
      await push(first, repo, image);
      await pushBlob(first, repo, big);
    }
    await first.stop();
    const [layer] = image.layers;
    assert.ok(layer);
    await rot(fileOf(root, 'periodic/e', layer));
    for (const repo of repos.slice(0, -1)) await truncate(fileOf(root, repo, layer), 1);
    const scrubbing = (rate: string) => ({ extensions: { scrub: { interval: '2h', rate } } });
    const killed = await startServer({ root, config: { storage: { dedupe: false }, ...scrubbing('1MiB') } });
    await until('some of it is noted', async () => {
      return await stateOf(root).then(
        ({ counts }) => counts.contents >= 4,
        () => false,
      );
    });
    await killed.kill();
    const before = await stateOf(root);
    assert.equal(before.finishedMs, null);
    const server = await startServer({ root, config: { storage: { dedupe: false }, ...scrubbing('0') } });
    try {
      await until('the pass ends', async () => (await stateOf(root)).finishedMs !== null);
      const { counts, startedMs } = await stateOf(root);
      assert.equal(startedMs, before.startedMs, 'it began anew');
      assert.equal(counts.contents, 4 * repos.length);
      assert.ok(before.counts.contents < counts.contents);
      await until('it is in the log', () => seen(server, 'blobs/manifest affected') > 0);
      for (const repo of repos) await assertRefused(server, `${repo}/blobs/${layer.digest}`, 'BLOB_UNKNOWN');
      const tasks = await runZot('tasks', server.configFile);
      assert.match(tasks.text, /scrub \(low\): waiting/);
      assert.match(tasks.text, /5 damaged, 0 mended, 5 of 5 images affected/);
      const config = JSON.parse(await readFile(server.configFile, 'utf8')) as Record<string, unknown>;
      await writeFile(`${server.configFile}.new`, JSON.stringify({ ...config, extensions: {} }));
      await rename(`${server.configFile}.new`, server.configFile);
      await until(
        'the job is gone',
        async () => !/scrub/.test((await runZot('tasks', server.configFile)).text),
      );
    } finally {
      await server.stop();
      await killed.stop();
    }
  });
});

describe('a scrub of a folder that nobody serves', { timeout: 60_000 }, () => {
  test('prints the table that zot prints, and what is damaged; check says the same', async () => {
    const root = path.join(folder, 'alone');
    const image = imageOf('alone');
    const [layer] = image.layers;
    assert.ok(layer);
    const server = await startServer({ root, config: { storage: { dedupe: true } } });
    for (const repo of ['one', 'two']) await push(server, repo, image);
    await server.stop();
    // As zot leaves a folder: nothing of ours in it.
    await rm(path.join(root, '_zot'), { recursive: true });
    await rm(fileOf(root, 'two', layer));
    await cp(fileOf(root, 'one', layer), fileOf(root, 'two', layer));
    await rot(fileOf(root, 'two', layer));
    await rot(fileOf(root, 'one', layer));
    const { exitCode, text } = await runZot('scrub', root);
    assert.equal(exitCode, 2);
    const hex = layer.digest.slice('sha256:'.length);
    const lines = text.split('\n');
    assert.match(lines[0] ?? '', /^REPOSITORY TAG STATUS {3}AFFECTED BLOB {52}ERROR$/);
    assert.equal(lines[1], `one        v1  affected ${hex} bad blob digest`);
    assert.equal(lines[2], `two        v1  affected ${hex} bad blob digest`);
    assert.match(text, new RegExp(`two@${layer.digest}: wrong-digest`));
    const checked = await runZot('check', root, '--deep', '--json');
    assert.equal(checked.exitCode, 1);
    const { findings } = JSON.parse(checked.text) as { findings: { kind: string; repository: string }[] };
    const wrong = findings.filter(({ kind }) => kind === 'blob-wrong-digest');
    assert.deepEqual(
      wrong.map(({ repository }) => repository),
      ['one', 'two'],
    );
    await writeFile(fileOf(root, 'one', layer), layer.bytes);
    await appendFile(fileOf(root, 'two', layer), 'more');
    // One is sound again, and mends the other.
    assert.deepEqual((await scrub(root)).damage, []);
    assert.equal((await runZot('check', root, '--deep')).exitCode, 0);
    assert.equal((await runZot('scrub', path.join(root, 'nowhere'))).exitCode, 1);
  });
});
