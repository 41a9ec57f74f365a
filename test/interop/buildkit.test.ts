import assert from 'node:assert/strict';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startProcess, type RunningProcess } from '../support/process.ts';
import { eventually } from '../support/eventually.ts';
import { mediaTypes, readManifest } from './support/layout.ts';
import { absent, goTool, runProgram, skipWithout, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { openRegistry, type Registry } from './support/registry.ts';
import { assertServed, getManifest, type ServedManifest } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip =
  (await skipWithoutGoTool('buildkitd')) ||
  (await skipWithoutGoTool('buildctl')) ||
  (await skipWithout('runc'));

const dockerfile = `FROM scratch AS base
COPY busybox /bin/busybox
COPY busybox /bin/sh
FROM base
ARG TARGETARCH
COPY text.txt /text.txt
`;

describe('buildkit', { skip }, () => {
  let registry: Registry;
  let workspace: Workspace;
  let daemon: RunningProcess;
  let whyNoDaemon: string | false = false;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('buildkit');
    daemon = startProcess({
      command: [goTool('buildkitd'), ...daemonOptions()],
      cwd: workspace.folder,
      env: {},
    });
    try {
      const answers = async (): Promise<boolean> => (await tryBuildctl('debug', 'workers')).exitCode === 0;
      await eventually(answers, 30_000, 'the daemon answers');
    } catch {
      whyNoDaemon = absent('buildkitd', `BuildKit does not start here: ${daemon.stderr().slice(-500)}`);
    }
    await mkdir(workspace.file('context'));
    await cp('/bin/busybox', workspace.file('context/busybox'));
    await writeFile(workspace.file('context/text.txt'), 'text');
    await writeFile(workspace.file('context/Dockerfile'), dockerfile);
  });
  after(async () => {
    await registry.stop();
    await daemon.stop(15_000);
    await workspace.remove();
  });

  function daemonOptions(): string[] {
    const place = ['--root', workspace.file('root'), '--addr', `unix://${workspace.file('buildkit.sock')}`];
    return [
      ...place,
      '--containerd-worker=false',
      '--oci-worker-net',
      'host',
      '--oci-worker-snapshotter',
      'native',
    ];
  }

  async function tryBuildctl(...args: readonly string[]): ReturnType<typeof tryProgram> {
    return await tryProgram(goTool('buildctl'), [
      '--addr',
      `unix://${workspace.file('buildkit.sock')}`,
      ...args,
    ]);
  }

  /** Builds the context and returns what buildctl says (its progress goes to standard error). */
  async function build(...args: readonly string[]): Promise<string> {
    const context = workspace.file('context');
    const source = [
      '--frontend',
      'dockerfile.v0',
      '--local',
      `context=${context}`,
      '--local',
      `dockerfile=${context}`,
    ];
    const address = ['--addr', `unix://${workspace.file('buildkit.sock')}`];
    return (
      await runProgram(goTool('buildctl'), [...address, 'build', '--progress=plain', ...source, ...args])
    ).stderr;
  }

  function output(name: string, ...options: readonly string[]): string[] {
    return ['--output', ['type=image', `name=${registry.host}/${name}`, 'push=true', ...options].join(',')];
  }

  async function served(repository: string, tag: string): Promise<ServedManifest> {
    const manifest = await getManifest(registry, repository, tag);
    assert.ok(manifest !== null, `${repository}:${tag}`);
    return manifest;
  }

  async function assertWhole(repository: string, manifest: ServedManifest): Promise<number> {
    return await assertServed(registry, repository, { ...manifest, size: manifest.bytes.byteLength });
  }

  test('pushes images of several platforms with their provenance attestations', async (t) => {
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
    const options = ['--opt', 'platform=linux/amd64,linux/arm64', '--opt', 'attest:provenance=mode=max'];
    await build(...output('buildkit/app:1', 'oci-mediatypes=true'), ...options);
    const index = await served('buildkit/app', '1');
    assert.equal(index.mediaType, mediaTypes.index);
    const children = readManifest(JSON.parse(index.bytes.toString())).manifests ?? [];
    assert.equal(children.length, 4, 'two images and two attestation manifests');
    await assertWhole('buildkit/app', index);
  });

  test('pushes Docker media types', async (t) => {
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
    await build(...output('buildkit/docker:1', 'oci-mediatypes=false'));
    const manifest = await served('buildkit/docker', '1');
    assert.equal(manifest.mediaType, mediaTypes.dockerManifest);
    await assertWhole('buildkit/docker', manifest);
  });

  test('pushes zstd and uncompressed layers', async (t) => {
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
    for (const compression of ['zstd', 'uncompressed']) {
      const how = ['oci-mediatypes=true', `compression=${compression}`, 'force-compression=true'];
      await build(...output(`buildkit/${compression}:1`, ...how));
      await assertWhole(`buildkit/${compression}`, await served(`buildkit/${compression}`, '1'));
    }
  });

  for (const shape of ['image', 'index'] as const) {
    test(`keeps a build cache in the shape of an ${shape} and uses it`, async (t) => {
      if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
      const ref = `type=registry,ref=${registry.host}/buildkit/cache:${shape}`;
      const how = `mode=max,oci-mediatypes=true,image-manifest=${String(shape === 'image')}`;
      await build('--export-cache', `${ref},${how}`);
      const cache = await served('buildkit/cache', shape);
      assert.equal(cache.mediaType, shape === 'image' ? mediaTypes.manifest : mediaTypes.index);
      if (shape === 'index') {
        const children = readManifest(JSON.parse(cache.bytes.toString())).manifests ?? [];
        assert.ok(
          children.some((child) => child.mediaType.includes('layer')),
          'the children are layers',
        );
      }
      await assertWhole('buildkit/cache', cache);
      await runProgram(goTool('buildctl'), [
        '--addr',
        `unix://${workspace.file('buildkit.sock')}`,
        'prune',
        '--all',
      ]);
      assert.match(
        await build('--import-cache', ref, '--output', `type=oci,dest=${workspace.file('cached.tar')}`),
        /CACHED/,
      );
    });
  }

  test('builds on an image from the registry', async (t) => {
    if (whyNoDaemon !== false) return t.skip(whyNoDaemon);
    await build(...output('buildkit/base:1', 'oci-mediatypes=true'));
    await mkdir(workspace.file('derived'), { recursive: true });
    await writeFile(
      workspace.file('derived/Dockerfile'),
      `FROM ${registry.host}/buildkit/base:1\nRUN ["/bin/sh", "-c", "echo ran > /ran"]\n`,
    );
    const target = workspace.file('out');
    const derived = [
      '--local',
      `dockerfile=${workspace.file('derived')}`,
      '--output',
      `type=local,dest=${target}`,
    ];
    await build(...derived);
    assert.equal(await readFile(`${target}/ran`, 'utf8'), 'ran\n');
  });
});
