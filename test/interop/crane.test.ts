import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { debianImage, helloIndex, toolsImage } from './support/fixtures.ts';
import { findInLayout, mediaTypes, readManifest, type Descriptor } from './support/layout.ts';
import { goTool, runProgram, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { assertInLayout, assertServed, digestOfTag, getManifest, getTags } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

async function crane(command: string, ...args: readonly string[]): Promise<string> {
  return (await runProgram(goTool('crane'), [...command.split(' '), ...args])).stdout.trim();
}

describe('crane', { skip: await skipWithoutGoTool('crane') }, () => {
  let registry: Registry;
  let workspace: Workspace;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('crane');
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  const remote = (name: string): string => `${registry.host}/${name}`;

  async function pushTools(name: string): Promise<Descriptor> {
    const tools = await toolsImage();
    await crane('push', tools.folder, remote(name));
    return await findInLayout(tools.folder, tools.tag);
  }

  test('pushes a layout and pulls it back to the bit', async () => {
    const image = await pushTools('crane/tools:1');
    assert.equal(await crane('digest', remote('crane/tools:1')), image.digest);
    assert.equal(await assertServed(registry, 'crane/tools', image), 4);
    await crane('pull', '--format', 'oci', remote('crane/tools:1'), workspace.file('tools'));
    assert.equal(
      await assertInLayout(workspace.file('tools'), await findInLayout(workspace.file('tools'))),
      4,
    );
    await crane('validate', '--remote', remote('crane/tools:1'));
  });

  test('pushes an index as one and reads single platforms of it', async () => {
    const hello = await helloIndex();
    const index = await findInLayout(hello.folder, hello.tag);
    await crane('push', '--index', hello.folder, remote('crane/layout:v1'));
    const wrapped = await getManifest(registry, 'crane/layout', 'v1');
    assert.equal(wrapped?.mediaType, mediaTypes.index);
    // What crane pushes is index.json of the layout itself: an index that holds the index of our images.
    assert.equal(readManifest(JSON.parse(wrapped.bytes.toString())).manifests?.[0]?.digest, index.digest);
    assert.equal(
      await assertServed(registry, 'crane/layout', { ...wrapped, size: wrapped.bytes.byteLength }),
      11,
    );

    await crane('copy', remote(`crane/layout@${index.digest}`), remote('crane/hello:v1'));
    assert.equal(await assertServed(registry, 'crane/hello', index), 10);
    const config: unknown = JSON.parse(
      await crane('config', '--platform', 'linux/arm64', remote('crane/hello:v1')),
    );
    assert.ok(typeof config === 'object' && config !== null && 'architecture' in config);
    assert.equal(config.architecture, 'arm64');
  });

  test('mounts blobs of another repository instead of sending them', async () => {
    const image = await pushTools('crane/mount-from:1');
    const args = ['copy', '--verbose', remote('crane/mount-from:1'), remote('crane/mount-to:1')];
    const { stderr } = await runProgram(goTool('crane'), args);
    const mounts = [...stderr.matchAll(/--> POST \S*mount=sha256\S*/g)];
    assert.equal(mounts.length, 3, 'config and two layers');
    assert.doesNotMatch(stderr, /--> PATCH/);
    assert.equal(await assertServed(registry, 'crane/mount-to', image), 4);
  });

  test('tags, lists and copies all tags', async () => {
    await pushTools('crane/tags:one');
    await crane('tag', remote('crane/tags:one'), 'two');
    await crane('tag', remote('crane/tags:one'), 'three');
    assert.deepEqual((await crane('ls', remote('crane/tags'))).split('\n').toSorted(), [
      'one',
      'three',
      'two',
    ]);
    await crane('copy', '--all-tags', remote('crane/tags'), remote('crane/tags-copy'));
    assert.deepEqual((await getTags(registry, 'crane/tags-copy')).toSorted(), ['one', 'three', 'two']);
    const catalog = (await crane('catalog', registry.host)).split('\n');
    assert.ok(catalog.includes('crane/tags') && catalog.includes('crane/tags-copy'));
  });

  test('appends a layer, changes the config and flattens', async () => {
    await pushTools('crane/change:base');
    await mkdir(workspace.file('layer'), { recursive: true });
    await writeFile(workspace.file('layer/new.txt'), 'new');
    await runProgram('tar', ['-C', workspace.file('layer'), '-cf', workspace.file('layer.tar'), '.']);
    const base = ['--base', remote('crane/change:base'), '--new_tag', remote('crane/change:more')];
    await crane('append', ...base, '--new_layer', workspace.file('layer.tar'));
    await crane(
      'mutate',
      '--label',
      'a=b',
      '--tag',
      remote('crane/change:label'),
      remote('crane/change:more'),
    );
    await crane('flatten', '--tag', remote('crane/change:flat'), remote('crane/change:label'));
    await crane('validate', '--remote', remote('crane/change:flat'));
    await crane('export', remote('crane/change:flat'), workspace.file('flat.tar'));
    const { stdout } = await runProgram('tar', ['-tf', workspace.file('flat.tar')]);
    assert.match(stdout, /new\.txt/);
    assert.match(stdout, /bin\/busybox/);
  });

  test('pushes Docker schema 2 made from nothing, and a manifest list of it', async () => {
    await writeFile(workspace.file('file.txt'), 'docker');
    await runProgram('tar', ['-C', workspace.folder, '-cf', workspace.file('file.tar'), 'file.txt']);
    await crane('append', '--new_layer', workspace.file('file.tar'), '--new_tag', remote('crane/docker:1'));
    const served = await getManifest(registry, 'crane/docker', '1');
    assert.equal(served?.mediaType, mediaTypes.dockerManifest);
    const list = [
      '--docker-empty-base',
      '--manifest',
      remote('crane/docker:1'),
      '--tag',
      remote('crane/docker:list'),
    ];
    await crane('index append', ...list);
    const listed = await getManifest(registry, 'crane/docker', 'list');
    assert.equal(listed?.mediaType, mediaTypes.dockerList);
    await assertServed(registry, 'crane/docker', { ...listed, size: listed.bytes.byteLength });
    assert.equal(await crane('manifest', remote('crane/docker:1')), served.bytes.toString().trim());
  });

  test('pulls a Debian root file system as a Docker tarball and pushes that', async () => {
    const debian = await debianImage();
    await crane('push', debian.folder, remote('crane/debian:bookworm'));
    await crane('pull', remote('crane/debian:bookworm'), workspace.file('debian.tar'));
    await crane('push', workspace.file('debian.tar'), remote('crane/debian:tarball'));
    await crane('validate', '--remote', remote('crane/debian:tarball'));
    assert.ok((await readFile(workspace.file('debian.tar'))).byteLength > 10_000_000);
  });

  test('deletes a tag and keeps the manifest', { skip: onlyOurs }, async () => {
    const image = await pushTools('crane/delete-tag:one');
    await crane('tag', remote('crane/delete-tag:one'), 'two');
    await crane('delete', remote('crane/delete-tag:one'));
    assert.deepEqual(await getTags(registry, 'crane/delete-tag'), ['two']);
    assert.equal(await digestOfTag(registry, 'crane/delete-tag', image.digest), image.digest);
  });

  test('deletes a manifest by digest with its tags', async () => {
    const image = await pushTools('crane/delete-digest:one');
    await crane('tag', remote('crane/delete-digest:one'), 'two');
    await crane('delete', remote(`crane/delete-digest@${image.digest}`));
    const again = await tryProgram(goTool('crane'), ['digest', remote('crane/delete-digest:two')]);
    assert.notEqual(again.exitCode, 0);
    assert.equal(await digestOfTag(registry, 'crane/delete-digest', image.digest), null);
  });

  test('prints why a quota refuses a push', { skip: onlyOurs }, async () => {
    const tools = await toolsImage();
    const limited = await openRegistry({ storage: { quotas: [{ prefix: 'small', maxBytes: 1000 }] } });
    try {
      const pushed = await tryProgram(goTool('crane'), [
        'push',
        tools.folder,
        `${limited.host}/small/tools:1`,
      ]);
      assert.notEqual(pushed.exitCode, 0);
      assert.match(
        pushed.stderr,
        /DENIED: the quota of "small" is 1000 B, of which .*: there is no room for /,
      );
    } finally {
      await limited.stop();
    }
  });

  test(
    'pulls a repository under its new name, and no more under the old one',
    { skip: onlyOurs },
    async () => {
      const image = await pushTools('crane/old:1');
      const target = `${registry.url}/v2/_zot/ext/repository/rename?name=crane/old&to=crane/new`;
      assert.equal((await fetch(target, { method: 'POST' })).status, 200);
      assert.equal(await crane('digest', remote('crane/new:1')), image.digest);
      await crane('validate', '--remote', remote('crane/new:1'));
      const old = await tryProgram(goTool('crane'), ['pull', remote('crane/old:1'), workspace.file('old')]);
      assert.notEqual(old.exitCode, 0);
      assert.match(old.stderr, /NAME_UNKNOWN/);
    },
  );
});
