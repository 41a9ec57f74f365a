import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { debianImage, helloIndex, toolsImage, type Fixture } from './support/fixtures.ts';
import { findInLayout, mediaTypes } from './support/layout.ts';
import { runProgram, skipWithout, tryProgram } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { assertInLayout, assertServed, digestOfTag, getManifest, getTags } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const plainHttp = ['--src-tls-verify=false', '--dest-tls-verify=false'];

async function skopeo(...args: readonly string[]): Promise<string> {
  return (await runProgram('skopeo', args)).stdout;
}

async function copy(...args: readonly string[]): Promise<void> {
  await skopeo('copy', '--quiet', ...plainHttp, ...args);
}

function ociName(fixture: Fixture): string {
  return `oci:${fixture.folder}:${fixture.tag}`;
}

describe('skopeo', { skip: await skipWithout('skopeo') }, () => {
  let registry: Registry;
  let workspace: Workspace;
  let tools: Fixture;
  before(async () => {
    tools = await toolsImage();
    registry = await openRegistry();
    workspace = await makeWorkspace('skopeo');
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  const remote = (name: string): string => `docker://${registry.host}/${name}`;

  test('pushes an image and pulls it back to the bit', async () => {
    const image = await findInLayout(tools.folder, tools.tag);
    await copy('--preserve-digests', ociName(tools), remote('skopeo/tools:1'));
    assert.equal(await assertServed(registry, 'skopeo/tools', image), 4);
    const pulled = workspace.file('pulled');
    await copy('--preserve-digests', remote('skopeo/tools:1'), `oci:${pulled}:back`);
    const back = await findInLayout(pulled, 'back');
    assert.equal(back.digest, image.digest);
    assert.equal(await assertInLayout(pulled, back), 4);
  });

  test('pushes and pulls a Debian root file system', async () => {
    const debian = await debianImage();
    const image = await findInLayout(debian.folder, debian.tag);
    await copy('--preserve-digests', ociName(debian), remote('library/debian:bookworm'));
    await assertServed(registry, 'library/debian', image);
    await copy(
      '--preserve-digests',
      remote(`library/debian@${image.digest}`),
      `oci:${workspace.file('debian')}:b`,
    );
    await assertInLayout(workspace.file('debian'), image);
  });

  test('copies a multi-platform index with all its images', async () => {
    const hello = await helloIndex();
    const index = await findInLayout(hello.folder, hello.tag);
    await copy('--all', '--preserve-digests', ociName(hello), remote('skopeo/hello:v1'));
    assert.equal(await assertServed(registry, 'skopeo/hello', index), 10);
    await copy('--all', '--preserve-digests', remote('skopeo/hello:v1'), `oci:${workspace.file('hello')}:v1`);
    assert.equal(await assertInLayout(workspace.file('hello'), index), 10);
    const inspect = ['inspect', '--tls-verify=false', '--override-arch', 'arm64', '--config'];
    const config: unknown = JSON.parse(await skopeo(...inspect, remote('skopeo/hello:v1')));
    assert.ok(typeof config === 'object' && config !== null && 'architecture' in config);
    assert.equal(config.architecture, 'arm64');
  });

  test('pushes Docker schema 2 and gets it back unchanged', async () => {
    await copy('--format', 'v2s2', ociName(tools), remote('skopeo/docker:1'));
    const served = await getManifest(registry, 'skopeo/docker', '1');
    assert.equal(served?.mediaType, mediaTypes.dockerManifest);
    assert.equal(
      await skopeo('inspect', '--raw', '--tls-verify=false', remote('skopeo/docker:1')),
      served.bytes.toString(),
    );
    await copy(remote('skopeo/docker:1'), `dir:${workspace.file('docker')}`);
    assert.deepEqual(await readFile(workspace.file('docker/manifest.json')), served.bytes);
  });

  test('pushes a Docker manifest list and gets it back unchanged', async () => {
    const hello = await helloIndex();
    await copy('--all', '--format', 'v2s2', ociName(hello), remote('skopeo/docker-list:1'));
    const served = await getManifest(registry, 'skopeo/docker-list', '1');
    assert.equal(served?.mediaType, mediaTypes.dockerList);
    await copy('--all', remote('skopeo/docker-list:1'), `dir:${workspace.file('docker-list')}`);
    assert.deepEqual(await readFile(workspace.file('docker-list/manifest.json')), served.bytes);
  });

  test('copies inside the registry, lists and inspects', async () => {
    await copy(ociName(tools), remote('skopeo/from:1'));
    await copy(remote('skopeo/from:1'), remote('skopeo/to/nested/deeper:2'));
    await copy(remote('skopeo/from:1'), remote('skopeo/from:2'));
    assert.equal(
      await digestOfTag(registry, 'skopeo/to/nested/deeper', '2'),
      await digestOfTag(registry, 'skopeo/from', '1'),
    );
    const list: unknown = JSON.parse(await skopeo('list-tags', '--tls-verify=false', remote('skopeo/from')));
    assert.deepEqual(list, { Repository: `${registry.host}/skopeo/from`, Tags: ['1', '2'] });
    const inspected = await skopeo(
      'inspect',
      '--tls-verify=false',
      '--format',
      '{{.Digest}}',
      remote('skopeo/from:2'),
    );
    assert.equal(inspected.trim(), await digestOfTag(registry, 'skopeo/from', '2'));
  });

  test('mirrors a repository to folders', async () => {
    await copy(ociName(tools), remote('skopeo/mirror:1'));
    await copy(ociName(tools), remote('skopeo/mirror:2'));
    const target = workspace.file('mirror');
    await skopeo(
      'sync',
      '--src',
      'docker',
      '--dest',
      'dir',
      '--src-tls-verify=false',
      `${registry.host}/skopeo/mirror`,
      target,
    );
    const manifest = await readFile(`${target}/mirror:2/manifest.json`);
    assert.deepEqual(manifest, (await getManifest(registry, 'skopeo/mirror', '2'))?.bytes);
  });

  test('deletes an image, and is told when it is gone', async () => {
    await copy(ociName(tools), remote('skopeo/gone:1'));
    await skopeo('delete', '--tls-verify=false', remote('skopeo/gone:1'));
    assert.deepEqual(await getTags(registry, 'skopeo/gone'), []);
    const again = await tryProgram('skopeo', ['inspect', '--tls-verify=false', remote('skopeo/gone:1')]);
    assert.notEqual(again.exitCode, 0);
    assert.match(again.stderr, /manifest unknown|name unknown/);
  });

  test('reads our storage folder while the registry runs', { skip: onlyOurs }, async () => {
    const image = await findInLayout(tools.folder, tools.tag);
    await copy('--preserve-digests', ociName(tools), remote('skopeo/on-disk:1'));
    await copy('--preserve-digests', ociName(tools), remote('skopeo/on-disk:two'));
    const stored = `oci:${registry.root}/skopeo/on-disk:two`;
    assert.equal((await skopeo('inspect', '--format', '{{.Digest}}', stored)).trim(), image.digest);
    await copy('--preserve-digests', stored, `oci:${workspace.file('from-disk')}:1`);
    await assertInLayout(workspace.file('from-disk'), image);
  });

  test('prints why a quota refuses a push', { skip: onlyOurs }, async () => {
    const limited = await openRegistry({ storage: { quotas: [{ prefix: 'small', maxBytes: 1000 }] } });
    try {
      const target = `docker://${limited.host}/small/tools:1`;
      const pushed = await tryProgram('skopeo', ['copy', '--quiet', ...plainHttp, ociName(tools), target]);
      assert.notEqual(pushed.exitCode, 0);
      assert.match(
        pushed.stderr,
        /denied: the quota of .?"small.?" is 1000 B, of which .*: there is no room for /,
      );
    } finally {
      await limited.stop();
    }
  });
});
