import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';
import { projectRoot } from '../support/server.ts';
import { LayoutWriter, mediaTypes, readManifest, type Descriptor } from './support/layout.ts';
import { goTool, runProgram, skipWithoutGoTool } from './support/program.ts';
import { openRegistry, type Registry } from './support/registry.ts';
import { assertServed, getManifest, getTags } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const platforms = [
  { architecture: 'amd64', os: 'linux' },
  { architecture: 'arm64', os: 'linux' },
] as const;

describe('ko', { skip: (await skipWithoutGoTool('ko')) || (await skipWithoutGoTool('regctl')) }, () => {
  let registry: Registry;
  let workspace: Workspace;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('ko');
    await pushBase();
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  /** ko builds on a base image of each platform: here images without layers, pushed to the registry first. */
  async function pushBase(): Promise<void> {
    const writer = new LayoutWriter(workspace.file('base'));
    const manifests: Descriptor[] = [];
    for (const platform of platforms) {
      const rootfs = { type: 'layers', diff_ids: [] };
      const config = await writer.addJson(mediaTypes.config, {
        ...platform,
        config: {},
        rootfs,
        history: [],
      });
      const image = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] };
      manifests.push({ ...(await writer.addJson(mediaTypes.manifest, image)), platform });
    }
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests };
    await writer.tag('base', await writer.addJson(mediaTypes.index, index));
    const host = `reg=${registry.host},tls=disabled`;
    const target = `${registry.host}/ko/base:1`;
    await runProgram(goTool('regctl'), [
      'image',
      'copy',
      '--host',
      host,
      `ocidir://${writer.folder}:base`,
      target,
    ]);
  }

  async function ko(repository: string, ...args: readonly string[]): Promise<string> {
    const env = {
      KO_DOCKER_REPO: `${registry.host}/${repository}`,
      KO_DEFAULTBASEIMAGE: `${registry.host}/ko/base:1`,
      KOCACHE: workspace.file('cache'),
    };
    const cwd = path.join(projectRoot, 'test/interop/hello');
    return (
      await runProgram(goTool('ko'), ['build', ...args, '.'], { cwd, env, timeoutMs: 5 * 60_000 })
    ).stdout.trim();
  }

  test('publishes a Go program for two platforms with an SBOM for each', async () => {
    const reference = await ko(
      'ko/hello',
      '--bare',
      '--platform=linux/amd64,linux/arm64',
      '--tags=v1,latest',
    );
    const served = await getManifest(registry, 'ko/hello', 'v1');
    assert.equal(served?.mediaType, mediaTypes.index);
    assert.equal(reference, `${registry.host}/ko/hello@${served.digest}`);
    assert.equal((await getManifest(registry, 'ko/hello', 'latest'))?.digest, served.digest);
    assert.equal(readManifest(JSON.parse(served.bytes.toString())).manifests?.length, 2);
    await assertServed(registry, 'ko/hello', { ...served, size: served.bytes.byteLength });
    const sboms = (await getTags(registry, 'ko/hello')).filter((tag) =>
      /^sha256-[0-9a-f]{64}\.sbom$/.test(tag),
    );
    assert.equal(sboms.length, 3, 'one for the index and one for each image');
    for (const tag of sboms) {
      const sbom = await getManifest(registry, 'ko/hello', tag);
      assert.ok(sbom !== null);
      await assertServed(registry, 'ko/hello', { ...sbom, size: sbom.bytes.byteLength });
    }
  });

  test('publishing the same program again changes nothing', async () => {
    const args = ['--bare', '--platform=linux/amd64', '--sbom=none', '--tags=same'];
    const first = await ko('ko/again', ...args);
    assert.equal(await ko('ko/again', ...args), first);
    assert.deepEqual(await getTags(registry, 'ko/again'), ['same']);
  });
});
