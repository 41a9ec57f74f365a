import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startProcess, type RunningProcess } from '../support/process.ts';
import { eventually } from './support/eventually.ts';
import { debianImage } from './support/fixtures.ts';
import { mediaTypes, readManifest } from './support/layout.ts';
import { absent, runProgram, skipWithout, tryProgram } from './support/program.ts';
import { openRegistry, type Registry } from './support/registry.ts';
import { assertServed, getManifest } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip = (await skipWithout('dockerd')) || (await skipWithout('docker'));

describe('docker', { skip }, () => {
  let registry: Registry;
  let workspace: Workspace;
  let daemon: RunningProcess;
  let whyNoDaemon: string | false = false;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('docker');
    daemon = startDaemon();
    try {
      await eventually(async () => (await tryDocker('version')).exitCode === 0, 30_000, 'the daemon answers');
    } catch {
      whyNoDaemon = absent(
        'dockerd',
        `the Docker daemon does not start here: ${daemon.stderr().slice(-500)}`,
      );
    }
  });
  after(async () => {
    await registry.stop();
    await daemon.stop(15_000);
    // The daemon binds its data folder to itself and leaves that mount behind.
    await tryProgram('umount', [workspace.file('data')]);
    await workspace.remove();
  });

  /** A daemon of our own, without network rules, on a socket in the workspace. */
  function startDaemon(): RunningProcess {
    const folders = ['--data-root', workspace.file('data'), '--exec-root', workspace.file('exec')];
    const files = ['--pidfile', workspace.file('pid'), '--host', `unix://${workspace.file('docker.sock')}`];
    const network = ['--bridge=none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
    const command = ['dockerd', ...folders, ...files, ...network, '--storage-driver=vfs'];
    return startProcess({ command, cwd: workspace.folder, env: {} });
  }

  const environment = (): Record<string, string> => ({
    DOCKER_HOST: `unix://${workspace.file('docker.sock')}`,
    DOCKER_CONFIG: workspace.file('client'),
    DOCKER_BUILDKIT: '0',
  });

  async function docker(...args: readonly string[]): Promise<string> {
    return (await runProgram('docker', args, { env: environment() })).stdout.trim();
  }

  async function tryDocker(...args: readonly string[]): ReturnType<typeof tryProgram> {
    return await tryProgram('docker', args, { env: environment(), timeoutMs: 20_000 });
  }

  async function importImage(name: string): Promise<void> {
    await runProgram('tar', ['-C', '/', '-cf', workspace.file('import.tar'), 'bin/busybox']);
    await docker('import', '--change', 'CMD ["/bin/busybox"]', workspace.file('import.tar'), name);
  }

  const remote = (name: string): string => `${registry.host}/${name}`;

  test('pushes Docker schema 2 and pulls it back', async (t) => {
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
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
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
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
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
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
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
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
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
    const outcome = await tryDocker('pull', remote('docker/nothing:here'));
    assert.notEqual(outcome.exitCode, 0);
    assert.match(outcome.stderr, /manifest unknown|not found|name unknown/);
  });
});
