import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { DockerDaemon } from './support/docker-daemon.ts';
import { debianImage } from './support/fixtures.ts';
import { mediaTypes, readManifest } from './support/layout.ts';
import { runProgram, skipWithout } from './support/program.ts';
import { openRegistry, type Registry } from './support/registry.ts';
import { assertServed, getManifest } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip = (await skipWithout('dockerd')) || (await skipWithout('docker'));

describe('docker', { skip }, () => {
  let registry: Registry;
  let workspace: Workspace;
  let daemon: DockerDaemon;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('docker');
    daemon = await DockerDaemon.start(workspace);
  });
  after(async () => {
    await registry.stop();
    await daemon.stop();
    await workspace.remove();
  });

  const docker = (...args: readonly string[]): Promise<string> => daemon.run(...args);
  const importImage = (name: string): Promise<void> => daemon.importImage(name);
  const remote = (name: string): string => `${registry.host}/${name}`;

  test('pushes Docker schema 2 and pulls it back', async (t) => {
    if (daemon.whyNot !== false) return t.skip(daemon.whyNot);
    await importImage(remote('docker/imported:1'));
    const pushed = await docker('push', remote('docker/imported:1'));
    const served = await getManifest(registry, 'docker/imported', '1');
    assert.equal(served?.mediaType, mediaTypes.dockerManifest);
    assert.match(pushed, new RegExp(served.digest));
    await assertServed(registry, 'docker/imported', { ...served, size: served.bytes.byteLength });
    const id = await docker('image', 'inspect', '--format', '{{.Id}}', remote('docker/imported:1'));
    assert.equal(id, readManifest(JSON.parse(served.bytes.toString())).config?.digest);
    await docker('rmi', remote('docker/imported:1'));
    await docker('pull', remote('docker/imported:1'));
    assert.equal(await docker('image', 'inspect', '--format', '{{.Id}}', remote('docker/imported:1')), id);
    await docker('pull', `${remote('docker/imported')}@${served.digest}`);
  });

  test('builds on a base image from the registry; a second push sends only what is new', async (t) => {
    if (daemon.whyNot !== false) return t.skip(daemon.whyNot);
    await importImage(remote('docker/base:1'));
    await docker('push', remote('docker/base:1'));
    await docker('rmi', remote('docker/base:1'));
    await mkdir(workspace.file('context'), { recursive: true });
    await writeFile(
      workspace.file('context/Dockerfile'),
      `FROM ${remote('docker/base:1')}\nCOPY new.txt /new.txt\n`,
    );
    await writeFile(workspace.file('context/new.txt'), 'new');
    await docker('build', '--network=none', '--tag', remote('docker/derived:1'), workspace.file('context'));
    const output = await docker('push', remote('docker/derived:1'));
    // The layer of the base comes from the other repository: docker says so when the mount was accepted.
    assert.match(output, /Mounted from docker\/base/);
    const served = await getManifest(registry, 'docker/derived', '1');
    assert.ok(served !== null);
    await assertServed(registry, 'docker/derived', { ...served, size: served.bytes.byteLength });
    assert.match(await docker('push', remote('docker/derived:1')), /Layer already exists/);
  });

  test('pulls an OCI image that another client pushed', async (t) => {
    if (daemon.whyNot !== false) return t.skip(daemon.whyNot);
    const debian = await debianImage();
    const args = [
      'copy',
      '--quiet',
      '--preserve-digests',
      '--dest-tls-verify=false',
      `oci:${debian.folder}:${debian.tag}`,
    ];
    await runProgram('skopeo', [...args, `docker://${remote('docker/debian:bookworm')}`]);
    await docker('pull', remote('docker/debian:bookworm'));
    const format = ['--format', '{{.Architecture}} {{len .RootFS.Layers}}'];
    assert.equal(await docker('image', 'inspect', ...format, remote('docker/debian:bookworm')), 'amd64 1');
  });

  test('pushes all tags and makes a manifest list', async (t) => {
    if (daemon.whyNot !== false) return t.skip(daemon.whyNot);
    for (const tag of ['a', 'b']) await importImage(remote(`docker/all:${tag}`));
    await docker('push', '--all-tags', remote('docker/all'));
    await docker(
      'manifest',
      'create',
      '--insecure',
      remote('docker/all:list'),
      remote('docker/all:a'),
      remote('docker/all:b'),
    );
    await docker('manifest', 'push', '--insecure', remote('docker/all:list'));
    const served = await getManifest(registry, 'docker/all', 'list');
    assert.equal(served?.mediaType, mediaTypes.dockerList);
    await assertServed(registry, 'docker/all', { ...served, size: served.bytes.byteLength });
  });

  test('is told that an image does not exist', async (t) => {
    if (daemon.whyNot !== false) return t.skip(daemon.whyNot);
    const outcome = await daemon.try('pull', remote('docker/nothing:here'));
    assert.notEqual(outcome.exitCode, 0);
    assert.match(outcome.stderr, /manifest unknown|not found|name unknown/);
  });
});
