/** `zot tag`: asked of a running server of several processes, and of a folder that nobody serves. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { runZot } from '../support/run-zot.ts';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { imageOf } from './support/content.ts';
import type { Image } from './support/content.ts';

let folder = '';
before(async () => (folder = await mkdtemp(path.join(tmpdir(), 'zot-tag-'))));
after(() => rm(folder, { recursive: true }));

async function told<Result>(...words: string[]): Promise<Result> {
  const { exitCode, text, errors } = await runZot('tag', ...words, '--json');
  assert.equal(exitCode, 0, errors);
  return JSON.parse(text) as Result;
}

async function refused(pattern: RegExp, ...words: string[]): Promise<void> {
  const { exitCode, errors } = await runZot('tag', ...words);
  assert.equal(exitCode, 1);
  assert.match(errors, pattern);
  assert.equal(errors.trim().split('\n').length, 1, errors);
}

async function push(server: RunningServer, repo: string, image: Image, tag: string): Promise<void> {
  for (const { bytes, digest } of [image.config, ...image.layers]) {
    const target = `${server.url}/v2/${repo}/blobs/uploads/?digest=${digest}`;
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await fetch(target, { method: 'POST', headers, body: Buffer.from(bytes) });
    assert.equal(answer.status, 201, await answer.text());
  }
  const { bytes, mediaType } = image.manifest;
  const put = { method: 'PUT', headers: { 'content-type': mediaType }, body: Buffer.from(bytes) };
  const answer = await fetch(`${server.url}/v2/${repo}/manifests/${tag}`, put);
  assert.equal(answer.status, 201, await answer.text());
}

async function named(server: RunningServer, repo: string, tag: string): Promise<string | null> {
  const answer = await fetch(`${server.url}/v2/${repo}/manifests/${tag}`);
  return answer.status === 200 ? answer.headers.get('docker-content-digest') : null;
}

interface Story {
  readonly events: readonly {
    readonly kind: string;
    readonly digest: string;
    readonly restorable: boolean;
  }[];
}

const [one, two, secret] = [imageOf('good'), imageOf('better'), imageOf('with a secret')];
const kinds = ({ events }: Story): string[] => events.map(({ kind }) => kind);

test('a tag is shown, restored and purged while the server runs', { timeout: 60_000 }, async () => {
  const root = path.join(folder, 'online');
  const config = { storage: { undo: '1h', dedupe: true }, http: { workers: 2 } };
  const server = await startServer({ root, config });
  try {
    await push(server, 'team/app', one, 'latest');
    await push(server, 'team/app', two, 'latest');
    const file = server.configFile;
    const restored = await told<{ digest: string; previous: string }>('restore', file, 'team/app:latest');
    assert.deepEqual([restored.digest, restored.previous], [one.manifest.digest, two.manifest.digest]);
    assert.equal(await named(server, 'team/app', 'latest'), one.manifest.digest);
    const gone = await fetch(`${server.url}/v2/team/app/manifests/${one.manifest.digest}`, {
      method: 'DELETE',
    });
    assert.equal(gone.status, 202);
    assert.equal(await named(server, 'team/app', 'latest'), null);
    const story = await told<Story>('history', file, 'team/app:latest');
    assert.deepEqual(kinds(story), ['manifestDeleted', 'restored', 'moved', 'created']);
    assert.match((await runZot('tag', 'history', file, 'team/app:latest')).text, /deleted with its manifest/);
    assert.match(
      (await runZot('tag', 'restore', file, 'team/app:latest')).text,
      /^team\/app:latest names sha256:/,
    );
    assert.equal(await named(server, 'team/app', 'latest'), one.manifest.digest);
    assert.match(
      (await runZot('tag', 'restore', file, 'team/app:latest', '--digest', one.manifest.digest)).text,
      /already/,
    );

    await push(server, 'team/app', secret, 'leaked');
    await push(server, 'other', secret, 'copy');
    // Nobody is there to be asked.
    await refused(/--yes/, 'purge', file, 'team/app:leaked');
    const { text } = await runZot('tag', 'purge', file, 'team/app:leaked', '--yes');
    assert.match(text, /is gone with its tags leaked: 3 blobs/);
    assert.match(text, /other repositories too: other/);
    for (const { digest } of [secret.manifest, secret.config, ...secret.layers]) {
      assert.ok(!existsSync(path.join(root, 'team/app/blobs', ...digest.split(':'))), digest);
      assert.ok(existsSync(path.join(root, 'other/blobs', ...digest.split(':'))), digest);
    }
    await refused(/gone/, 'restore', file, 'team/app:leaked');
    assert.deepEqual(kinds(await told<Story>('history', file, 'team/app:leaked')), ['purged', 'created']);
    assert.equal(await named(server, 'other', 'copy'), secret.manifest.digest);
  } finally {
    await server.stop();
  }
});

test('the same works on a folder that nobody serves', { timeout: 60_000 }, async () => {
  const root = path.join(folder, 'offline');
  const server = await startServer({ root, config: { storage: { undo: '1h' } } });
  await push(server, 'app', one, 'v1');
  await push(server, 'app', two, 'v1');
  await fetch(`${server.url}/v2/app/manifests/${two.manifest.digest}`, { method: 'DELETE' });
  await server.stop();
  // The folder alone: its configuration is not known, and what is held stays held.
  const swept = await runZot('gc', root, '--json');
  assert.equal(swept.exitCode, 0, swept.errors);
  const restored = await told<{ digest: string }>('restore', root, 'app:v1');
  assert.equal(restored.digest, two.manifest.digest);
  await told('restore', root, 'app:v1', '--digest', one.manifest.digest);
  const purged = await told<{ digest: string }>('purge', root, `app@${two.manifest.digest}`, '-y');
  assert.equal(purged.digest, two.manifest.digest);
  const again = await startServer({ root, config: { storage: { undo: '1h' } } });
  try {
    assert.equal(await named(again, 'app', 'v1'), one.manifest.digest);
    assert.equal(await named(again, 'app', two.manifest.digest), null);
    const story = await told<Story>('history', again.configFile, 'app:v1');
    assert.deepEqual(kinds(story).slice(0, 3), ['restored', 'restored', 'manifestDeleted']);
    assert.deepEqual(
      story.events.slice(0, 2).map(({ restorable }) => restorable),
      [true, false],
    );
  } finally {
    await again.stop();
  }
});

test('a registry that is read only keeps its tags', { timeout: 60_000 }, async () => {
  const root = path.join(folder, 'offline');
  const server = await startServer({ root, config: { storage: { undo: '1h', readOnly: true } } });
  try {
    await refused(/readOnly/, 'restore', server.configFile, 'app:v1');
    await refused(/readOnly/, 'purge', server.configFile, 'app:v1', '--yes');
    assert.equal(kinds(await told<Story>('history', server.configFile, 'app:v1'))[0], 'restored');
  } finally {
    await server.stop();
  }
});

test('what was deleted stays away when the index is lost', { timeout: 60_000 }, async () => {
  const root = path.join(folder, 'without-index');
  const config = { storage: { undo: '1h' } };
  const { manifest, layers } = one;
  const statusOf = async (server: RunningServer): Promise<number[]> => {
    const contents = [`manifests/${manifest.digest}`, ...layers.map(({ digest }) => `blobs/${digest}`)];
    const answers = contents.map((content) => fetch(`${server.url}/v2/app/${content}`, { method: 'HEAD' }));
    return (await Promise.all(answers)).map(({ status }) => status);
  };
  const server = await startServer({ root, config });
  await push(server, 'app', one, 'v1');
  await push(server, 'app', two, 'v2');
  await fetch(`${server.url}/v2/app/manifests/${manifest.digest}`, { method: 'DELETE' });
  for (const { digest } of layers) await fetch(`${server.url}/v2/app/blobs/${digest}`, { method: 'DELETE' });
  const before = await statusOf(server);
  assert.deepEqual(new Set(before), new Set([404]));
  await server.stop();
  for (const suffix of ['', '-wal', '-shm'])
    await rm(path.join(root, `_zot/index.db${suffix}`), { force: true });
  const again = await startServer({ root, config });
  try {
    assert.deepEqual(await statusOf(again), before);
    assert.equal(await named(again, 'app', 'v2'), two.manifest.digest);
    await told('restore', again.configFile, 'app:v1');
    assert.equal(await named(again, 'app', 'v1'), manifest.digest);
    assert.deepEqual(new Set(await statusOf(again)), new Set([200]));
  } finally {
    await again.stop();
  }
});

test('what makes no sense is refused in one line', { timeout: 60_000 }, async () => {
  const root = path.join(folder, 'refusals');
  const server = await startServer({ root, config: { storage: { undo: '1h' } } });
  await server.stop();
  await refused(/names no image/, 'restore', root, 'app');
  await refused(/no name of a repository/, 'restore', root, 'App:v1');
  await refused(/nothing is known/, 'restore', root, 'app:v1');
  await refused(/name a tag/, 'history', root, `app@${one.manifest.digest}`);
  await refused(/no time/, 'restore', root, 'app:v1', '--at', 'yesterday');
  await refused(/not both/, 'restore', root, 'app:v1', '--at', '2026-01-01', '--digest', one.manifest.digest);
  await refused(/has no tag/, 'purge', root, 'app:v1', '--yes');
  const { exitCode, errors } = await runZot('tag', 'undo', root, 'app:v1');
  assert.equal(exitCode, 1);
  assert.match(errors, /write history, restore or purge/);
});
