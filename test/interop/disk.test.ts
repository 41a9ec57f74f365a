import assert from 'node:assert/strict';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startServer, type RunningServer } from '../support/server.ts';
import { eventually } from '../support/eventually.ts';
import { debianImage, helloIndex, toolsImage, type Fixture } from './support/fixtures.ts';
import { blobFile, findInLayout, digestOf, mediaTypes, readIndexFile } from './support/layout.ts';
import { runProgram, skipWithout } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { assertServed, digestOfTag, getManifest, getTags } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip = onlyOurs === false ? await skipWithout('skopeo') : onlyOurs;
const noticedWithinMs = 6000;

async function copy(...args: readonly string[]): Promise<void> {
  await runProgram('skopeo', ['copy', '--quiet', '--preserve-digests', '--dest-tls-verify=false', ...args]);
}

function ociName(fixture: Fixture): string {
  return `oci:${fixture.folder}:${fixture.tag}`;
}

describe('the storage folder', { skip }, () => {
  let registry: Registry;
  before(async () => {
    registry = await openRegistry();
  });
  after(async () => {
    await registry.stop();
  });

  test('is an image layout in the shape that zot gives it', async () => {
    const tools = await toolsImage();
    const image = await findInLayout(tools.folder, tools.tag);
    for (const tag of ['1', 'latest'])
      await copy(ociName(tools), `docker://${registry.host}/disk/shape:${tag}`);
    const folder = path.join(registry.root, 'disk/shape');
    assert.equal(await readFile(path.join(folder, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}');
    const index: unknown = JSON.parse(await readFile(path.join(folder, 'index.json'), 'utf8'));
    assert.ok(typeof index === 'object' && index !== null && 'schemaVersion' in index);
    assert.equal(index.schemaVersion, 2);
    const entry = (tag: string): object => ({
      mediaType: mediaTypes.manifest,
      digest: image.digest,
      size: image.size,
      annotations: { 'org.opencontainers.image.ref.name': tag },
    });
    assert.deepEqual(await readIndexFile(folder), [entry('1'), entry('latest')]);
    const names = (await readdir(folder)).filter((name) => name !== '.uploads').sort();
    assert.deepEqual(names, ['blobs', 'index.json', 'oci-layout']);
    await assertBlobsHashToTheirNames(folder);
  });

  test('lists the images of an index pushed through the registry without a name', async () => {
    const hello = await helloIndex();
    await copy('--all', ociName(hello), `docker://${registry.host}/disk/index:v1`);
    const entries = await readIndexFile(path.join(registry.root, 'disk/index'));
    const named = entries.filter((entry) => entry.annotations !== undefined);
    assert.equal(named.length, 1);
    assert.equal(entries.length - named.length, 3);
    await assertBlobsHashToTheirNames(path.join(registry.root, 'disk/index'));
  });

  test('a repository that skopeo writes while the registry runs is served within seconds', async (t) => {
    const tools = await toolsImage();
    const folder = path.join(registry.root, 'disk/by-skopeo');
    assert.equal(await getManifest(registry, 'disk/by-skopeo', 'new'), null, 'unknown before');
    await mkdir(path.dirname(folder), { recursive: true });
    await copy(ociName(tools), `oci:${folder}:new`);
    const isServed = async (): Promise<boolean> =>
      (await digestOfTag(registry, 'disk/by-skopeo', 'new')) !== null;
    const firstMs = await eventually(isServed, noticedWithinMs, 'the new repository');
    assert.equal(await assertServed(registry, 'disk/by-skopeo', await findInLayout(folder, 'new')), 4);

    const debian = await debianImage();
    const { digest } = await findInLayout(debian.folder, debian.tag);
    await copy(ociName(debian), `oci:${folder}:new`);
    const isMoved = async (): Promise<boolean> =>
      (await digestOfTag(registry, 'disk/by-skopeo', 'new')) === digest;
    const secondMs = await eventually(isMoved, noticedWithinMs, 'the moved tag');
    t.diagnostic(
      `new repository served after ${firstMs.toFixed(0)} ms, moved tag after ${secondMs.toFixed(0)} ms`,
    );
    await assertServed(registry, 'disk/by-skopeo', await findInLayout(folder, 'new'));
  });

  test('an index that skopeo writes is served with its images, by digest too', async () => {
    const hello = await helloIndex();
    const folder = path.join(registry.root, 'disk/index-by-skopeo');
    await mkdir(path.dirname(folder), { recursive: true });
    await copy('--all', ociName(hello), `oci:${folder}:v1`);
    const isServed = async (): Promise<boolean> =>
      (await digestOfTag(registry, 'disk/index-by-skopeo', 'v1')) !== null;
    await eventually(isServed, noticedWithinMs, 'the index');
    assert.equal(await assertServed(registry, 'disk/index-by-skopeo', await findInLayout(folder, 'v1')), 10);
  });

  test('a push into a repository that skopeo wrote keeps what was there', async () => {
    const tools = await toolsImage();
    const hello = await helloIndex();
    const folder = path.join(registry.root, 'disk/mixed');
    await mkdir(path.dirname(folder), { recursive: true });
    await copy('--all', ociName(hello), `oci:${folder}:foreign`);
    await copy(ociName(tools), `docker://${registry.host}/disk/mixed:ours`);
    assert.deepEqual(await getTags(registry, 'disk/mixed'), ['foreign', 'ours']);
    assert.equal(await assertServed(registry, 'disk/mixed', await findInLayout(folder, 'foreign')), 10);
    assert.equal(await assertServed(registry, 'disk/mixed', await findInLayout(folder, 'ours')), 4);
  });
});

describe('a folder of layouts written before the registry starts', { skip }, () => {
  let workspace: Workspace;
  let server: RunningServer | null = null;
  before(async () => {
    workspace = await makeWorkspace('disk');
  });
  after(async () => {
    await server?.stop();
    await workspace.remove();
  });

  test('is served', async () => {
    const hello = await helloIndex();
    const tools = await toolsImage();
    const root = workspace.file('root');
    await mkdir(path.join(root, 'deep/er'), { recursive: true });
    await copy('--all', ociName(hello), `oci:${path.join(root, 'deep/er/hello')}:v1`);
    await copy(ociName(tools), `oci:${path.join(root, 'tools')}:one`);
    await copy(ociName(tools), `oci:${path.join(root, 'tools')}:two`);
    server = await startServer({ root });
    const registry: Registry = { url: server.url, host: server.host, root, stop: async () => {} };
    const catalog: unknown = await (await fetch(`${registry.url}/v2/_catalog`)).json();
    assert.deepEqual(catalog, { repositories: ['deep/er/hello', 'tools'] });
    assert.deepEqual(await getTags(registry, 'tools'), ['one', 'two']);
    assert.equal(
      await assertServed(registry, 'deep/er/hello', await findInLayout(hello.folder, hello.tag)),
      10,
    );
    assert.equal(await assertServed(registry, 'tools', await findInLayout(tools.folder, tools.tag)), 4);
  });
});

async function assertBlobsHashToTheirNames(folder: string): Promise<void> {
  const names = await readdir(path.join(folder, 'blobs/sha256'));
  assert.ok(names.length > 0);
  for (const name of names) {
    assert.equal(digestOf(await readFile(blobFile(folder, `sha256:${name}`))), `sha256:${name}`);
  }
}
