import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { mediaTypes, readManifest } from './support/layout.ts';
import { runProgram, skipWithout, tryProgram } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { assertServed, digestOfTag, getManifest } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

describe('buildah', { skip: await skipWithout('buildah') }, () => {
  let registry: Registry;
  let workspace: Workspace;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('buildah');
    await writeFile(workspace.file('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    // The machine may know no registries and no short names: everything here is named in full.
    await writeFile(workspace.file('registries.conf'), 'unqualified-search-registries = []\n');
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  /** Runs buildah with an image store of its own, so that nothing of the machine is touched. */
  async function buildah(command: string, ...args: readonly string[]): Promise<string> {
    const store = [
      '--root',
      workspace.file('store'),
      '--runroot',
      workspace.file('run'),
      '--storage-driver',
      'vfs',
    ];
    const config = ['--registries-conf', workspace.file('registries.conf')];
    return (await runProgram('buildah', [...store, ...config, ...command.split(' '), ...args])).stdout.trim();
  }

  const policy = (): string[] => ['--tls-verify=false', '--signature-policy', workspace.file('policy.json')];

  /** Commits an image of one layer that holds busybox and a text. */
  async function commitImage(name: string, text: string): Promise<void> {
    const container = await buildah('from', 'scratch');
    await writeFile(workspace.file('note.txt'), text);
    await buildah('copy', container, '/bin/busybox', '/bin/');
    await buildah('copy', container, workspace.file('note.txt'), '/note.txt');
    await buildah('config', '--cmd', '/bin/busybox', '--label', `note=${text}`, container);
    await buildah('commit', '--signature-policy', workspace.file('policy.json'), container, name);
    await buildah('rm', container);
  }

  test('builds, pushes and pulls an image', async () => {
    await commitImage('localhost/plain', 'plain');
    const digestFile = workspace.file('digest');
    await buildah(
      'push',
      '--digestfile',
      digestFile,
      ...policy(),
      'localhost/plain',
      `docker://${registry.host}/buildah/plain:1`,
    );
    const served = await getManifest(registry, 'buildah/plain', '1');
    assert.equal(served?.mediaType, mediaTypes.manifest);
    assert.equal(served.digest, await readFile(digestFile, 'utf8'));
    await assertServed(registry, 'buildah/plain', { ...served, size: served.bytes.byteLength });

    await buildah('rmi', '--all', '--force');
    await buildah('pull', ...policy(), `docker://${registry.host}/buildah/plain@${served.digest}`);
    const from = await buildah('from', ...policy(), `${registry.host}/buildah/plain:1`);
    const mounted = await buildah('mount', from);
    assert.equal(await readFile(path.join(mounted, 'note.txt'), 'utf8'), 'plain');
    await buildah('rm', from);
  });

  test('pushes Docker schema 2', async () => {
    await commitImage('localhost/v2s2', 'docker');
    await buildah(
      'push',
      '--format',
      'v2s2',
      ...policy(),
      'localhost/v2s2',
      `docker://${registry.host}/buildah/docker:1`,
    );
    const served = await getManifest(registry, 'buildah/docker', '1');
    assert.equal(served?.mediaType, mediaTypes.dockerManifest);
    await assertServed(registry, 'buildah/docker', { ...served, size: served.bytes.byteLength });
  });

  test('builds from a base image in the registry', async () => {
    await commitImage('localhost/base', 'base');
    await buildah('push', ...policy(), 'localhost/base', `docker://${registry.host}/buildah/base:1`);
    const context = workspace.file('context');
    await mkdir(context, { recursive: true });
    await writeFile(
      path.join(context, 'Containerfile'),
      `FROM ${registry.host}/buildah/base:1\nCOPY more.txt /more.txt\n`,
    );
    await writeFile(path.join(context, 'more.txt'), 'more');
    await buildah('build', '--isolation', 'chroot', ...policy(), '--tag', 'localhost/derived', context);
    await buildah('push', ...policy(), 'localhost/derived', `docker://${registry.host}/buildah/derived:1`);
    const served = await getManifest(registry, 'buildah/derived', '1');
    assert.ok(served !== null);
    await assertServed(registry, 'buildah/derived', { ...served, size: served.bytes.byteLength });
  });

  test('pushes a manifest list with all its images', async () => {
    await commitImage('localhost/one', 'one');
    await commitImage('localhost/two', 'two');
    await buildah('manifest create', 'localhost/list');
    await buildah('manifest add', '--arch', 'amd64', 'localhost/list', 'localhost/one');
    await buildah('manifest add', '--arch', 'arm64', 'localhost/list', 'localhost/two');
    await buildah(
      'manifest push --all',
      ...policy(),
      'localhost/list',
      `docker://${registry.host}/buildah/list:1`,
    );
    const served = await getManifest(registry, 'buildah/list', '1');
    assert.equal(served?.mediaType, mediaTypes.index);
    assert.equal(readManifest(JSON.parse(served.bytes.toString())).manifests?.length, 2);
    await assertServed(registry, 'buildah/list', { ...served, size: served.bytes.byteLength });
  });

  test('writes a layout into the storage folder, which is served', { skip: onlyOurs }, async () => {
    await commitImage('localhost/layout', 'layout');
    const folder = path.join(registry.root, 'buildah/layout');
    await mkdir(path.dirname(folder), { recursive: true });
    await buildah(
      'push',
      '--signature-policy',
      workspace.file('policy.json'),
      'localhost/layout',
      `oci:${folder}:1`,
    );
    await eventually(
      async () => (await digestOfTag(registry, 'buildah/layout', '1')) !== null,
      6000,
      'the layout',
    );
    const served = await getManifest(registry, 'buildah/layout', '1');
    assert.ok(served !== null);
    await assertServed(registry, 'buildah/layout', { ...served, size: served.bytes.byteLength });
  });

  test('is told that an image does not exist', async () => {
    const store = [
      '--root',
      workspace.file('store'),
      '--runroot',
      workspace.file('run'),
      '--storage-driver',
      'vfs',
    ];
    const args = [...store, 'pull', ...policy(), `docker://${registry.host}/buildah/nothing:here`];
    const outcome = await tryProgram('buildah', args);
    assert.notEqual(outcome.exitCode, 0);
    assert.match(outcome.stderr, /manifest unknown|name unknown/);
  });
});
