import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startProcess, type RunningProcess } from '../support/process.ts';
import { zotJson } from '../support/run-zot.ts';
import { debianImage, helloIndex, toolsImage, type Fixture } from './support/fixtures.ts';
import { findInLayout, isManifest, childrenOf, digestOf, blobFile, readManifest } from './support/layout.ts';
import { runProgram, skipWithout, type ProgramOutput } from './support/program.ts';
import { openRegistry, type Registry } from './support/registry.ts';
import { assertServed } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

function containerdConfig(folder: string): string {
  return `
version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${folder}/containerd.sock"
[ttrpc]
  address = "${folder}/ttrpc.sock"
`;
}

describe("containerd's ctr", { skip: await skipWithout('containerd') }, () => {
  let registry: Registry;
  let workspace: Workspace;
  let daemon: RunningProcess;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('ctr');
    await writeFile(workspace.file('config.toml'), containerdConfig(workspace.folder));
    daemon = startProcess({
      command: ['containerd', '-c', workspace.file('config.toml')],
      cwd: workspace.folder,
      env: {},
    });
    await daemon.waitForLine((line) => (line.includes('successfully booted') ? line : null), 20_000);
  });
  after(async () => {
    await registry.stop();
    await daemon.stop(10_000);
    await workspace.remove();
  });

  async function ctr(command: string, ...args: readonly string[]): Promise<ProgramOutput> {
    const address = ['--address', workspace.file('containerd.sock')];
    return await runProgram('ctr', [...address, ...command.split(' '), ...args], { timeoutMs: 120_000 });
  }

  async function push(fixture: Fixture, name: string): Promise<void> {
    const args = ['copy', '--all', '--quiet', '--preserve-digests', '--dest-tls-verify=false'];
    await runProgram('skopeo', [
      ...args,
      `oci:${fixture.folder}:${fixture.tag}`,
      `docker://${registry.host}/${name}`,
    ]);
  }

  test('imports an archive of "zot export" under its name, and exports one that "zot import" takes', async () => {
    const hello = await helloIndex();
    const root = workspace.file('root-of-archives');
    await mkdir(root);
    await zotJson('import', root, hello.folder, '--repo', 'team/hello', '--tag', hello.tag);
    await zotJson('export', root, `team/hello:${hello.tag}`, '--to', workspace.file('hello.tar'));
    await ctr('images import --all-platforms', workspace.file('hello.tar'));
    const name = `docker.io/team/hello:${hello.tag}`;
    const { digest } = await findInLayout(hello.folder, hello.tag);
    assert.match((await ctr('images ls', `name==${name}`)).stdout, new RegExp(digest));
    await ctr('images export --all-platforms', workspace.file('back.tar'), name);
    // The archive says of which repository it is.
    await rm(path.join(root, 'team'), { recursive: true });
    await zotJson('import', root, workspace.file('back.tar'));
    assert.equal((await findInLayout(path.join(root, 'team/hello'), hello.tag)).digest, digest);
  });

  test('pulls and unpacks an image to the bit', async () => {
    const tools = await toolsImage();
    await push(tools, 'ctr/tools:1');
    const name = `${registry.host}/ctr/tools:1`;
    await ctr('images pull --plain-http --snapshotter native', name);
    const image = await findInLayout(tools.folder, tools.tag);
    assert.match((await ctr('images ls', `name==${name}`)).stdout, new RegExp(image.digest));
    const manifest = readManifest(JSON.parse(await readFile(blobFile(tools.folder, image.digest), 'utf8')));
    for (const child of childrenOf(manifest)) {
      assert.ok(!isManifest(child.mediaType));
      const args = ['--address', workspace.file('containerd.sock'), 'content', 'get', child.digest];
      const shell = `ctr "$@" > '${workspace.file('content')}'`;
      await runProgram('/bin/sh', ['-c', shell, 'ctr', ...args]);
      assert.equal(digestOf(await readFile(workspace.file('content'))), child.digest);
    }
    const target = workspace.file('mounted');
    await mkdir(target);
    await ctr('images mount --snapshotter native', name, target);
    assert.deepEqual(await readFile(path.join(target, 'bin/busybox')), await readFile('/bin/busybox'));
    await ctr('images unmount', target);
  });

  test('pulls a Debian root file system', async () => {
    const debian = await debianImage();
    await push(debian, 'ctr/debian:bookworm');
    await ctr('images pull --plain-http --snapshotter native', `${registry.host}/ctr/debian:bookworm`);
    const { stdout } = await ctr('images check', `name==${registry.host}/ctr/debian:bookworm`);
    assert.match(stdout, /complete/);
  });

  test('pulls all platforms of an index and pushes them elsewhere', async () => {
    const hello = await helloIndex();
    await push(hello, 'ctr/hello:v1');
    const name = `${registry.host}/ctr/hello:v1`;
    await ctr('content fetch --plain-http --all-platforms', name);
    const copy = `${registry.host}/ctr/hello-copy:v2`;
    await ctr('images tag', name, copy);
    await ctr('images push --plain-http', copy);
    assert.equal(
      await assertServed(registry, 'ctr/hello-copy', await findInLayout(hello.folder, hello.tag)),
      10,
    );
  });

  test('imports a layout and pushes it', async () => {
    const tools = await toolsImage();
    await runProgram('tar', ['-C', tools.folder, '-cf', workspace.file('layout.tar'), '.']);
    await ctr('images import --base-name imported --no-unpack', workspace.file('layout.tar'));
    const name = `${registry.host}/ctr/imported:1`;
    await ctr('images tag', 'imported:latest', name);
    await ctr('images push --plain-http', name);
    assert.equal(
      await assertServed(registry, 'ctr/imported', await findInLayout(tools.folder, tools.tag)),
      4,
    );
  });

  test('uses the registry as a mirror of another host (requests carry ?ns=)', async () => {
    await push(await toolsImage(), 'ctr/mirrored:1');
    const hostFolder = workspace.file('hosts/upstream.invalid');
    await mkdir(hostFolder, { recursive: true });
    const hosts = `[host."${registry.url}"]\n  capabilities = ["pull", "resolve"]\n`;
    await writeFile(path.join(hostFolder, 'hosts.toml'), hosts);
    const args = [
      '--hosts-dir',
      workspace.file('hosts'),
      '--snapshotter',
      'native',
      'upstream.invalid/ctr/mirrored:1',
    ];
    await ctr('images pull', ...args);
    assert.match(
      (await ctr('images ls', 'name==upstream.invalid/ctr/mirrored:1')).stdout,
      /upstream\.invalid/,
    );
  });
});
