import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { helloIndex, toolsImage, type Fixture } from './support/fixtures.ts';
import { digestOf, findInLayout, mediaTypes, readManifest, type Descriptor } from './support/layout.ts';
import { goTool, runProgram, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import {
  assertInLayout,
  assertServed,
  digestOfTag,
  getBlob,
  getManifest,
  getReferrers,
  getTags,
} from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

describe('regctl', { skip: await skipWithoutGoTool('regctl') }, () => {
  let registry: Registry;
  let workspace: Workspace;
  let tools: Fixture;
  before(async () => {
    tools = await toolsImage();
    registry = await openRegistry();
    workspace = await makeWorkspace('regctl');
    await regctl('registry set --tls disabled --skip-check', registry.host);
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  const environment = (): Record<string, string> => ({ REGCTL_CONFIG: workspace.file('config.json') });

  async function regctl(command: string, ...args: readonly string[]): Promise<string> {
    const options = { env: environment(), cwd: workspace.folder };
    return (await runProgram(goTool('regctl'), [...command.split(' '), ...args], options)).stdout.trim();
  }

  const remote = (name: string): string => `${registry.host}/${name}`;
  const layout = (fixture: Fixture): string => `ocidir://${fixture.folder}:${fixture.tag}`;

  async function pushTools(name: string): Promise<Descriptor> {
    await regctl('image copy', layout(tools), remote(name));
    return await findInLayout(tools.folder, tools.tag);
  }

  test('pushes an image and pulls it back to the bit', async () => {
    const image = await pushTools('regctl/tools:1');
    assert.equal(await assertServed(registry, 'regctl/tools', image), 4);
    await regctl('image copy', remote('regctl/tools:1'), `ocidir://${workspace.file('back')}:1`);
    assert.equal(await assertInLayout(workspace.file('back'), image), 4);
    assert.equal(await regctl('image digest', remote('regctl/tools:1')), image.digest);
  });

  test('copies an index with all its images between repositories', async () => {
    const hello = await helloIndex();
    const index = await findInLayout(hello.folder, hello.tag);
    await regctl('image copy', layout(hello), remote('regctl/hello:v1'));
    await regctl('image copy', remote('regctl/hello:v1'), remote('regctl/hello-copy:v1'));
    assert.equal(await assertServed(registry, 'regctl/hello-copy', index), 10);
    const arm = await regctl('image digest --platform linux/arm64', remote('regctl/hello-copy:v1'));
    assert.notEqual(arm, index.digest);
  });

  test('makes an index of images and an index of indexes', async () => {
    await pushTools('regctl/index:one');
    await regctl(
      'index create --ref',
      remote('regctl/index:one'),
      '--platform',
      'linux/amd64',
      remote('regctl/index:flat'),
    );
    await regctl('index create --ref', remote('regctl/index:flat'), remote('regctl/index:nested'));
    const nested = await getManifest(registry, 'regctl/index', 'nested');
    assert.equal(nested?.mediaType, mediaTypes.index);
    await assertServed(registry, 'regctl/index', { ...nested, size: nested.bytes.byteLength });
    const children = readManifest(JSON.parse(nested.bytes.toString())).manifests ?? [];
    assert.equal(children[0]?.digest, await digestOfTag(registry, 'regctl/index', 'flat'));
  });

  test('uploads a blob in chunks and gets it back', async () => {
    const bytes = randomBytes(3_000_000);
    await writeFile(workspace.file('blob'), bytes);
    await regctl('registry set --blob-chunk 1048576 --blob-max 1000000 --skip-check', registry.host);
    const digest = await putBlob('regctl/chunks');
    assert.equal(digest, digestOf(bytes));
    assert.deepEqual(await getBlob(registry, 'regctl/chunks', digest), bytes);
    await regctl('registry set --blob-chunk -1 --blob-max -1 --skip-check', registry.host);
  });

  test('stores and serves content by sha512', { skip: onlyOurs }, async () => {
    await pushTools('regctl/sha512:256');
    const change = ['--create', remote('regctl/sha512:512'), remote('regctl/sha512:256')];
    await regctl('image mod --digest-algo sha512', ...change);
    const served = await getManifest(registry, 'regctl/sha512', '512');
    assert.match(served?.digest ?? '', /^sha512:[0-9a-f]{128}$/);
    await regctl('image copy', remote('regctl/sha512:512'), `ocidir://${workspace.file('sha512')}:512`);
    const copied = await findInLayout(workspace.file('sha512'), '512');
    assert.equal(copied.digest, served?.digest);
    assert.equal(await assertServed(registry, 'regctl/sha512', copied), 4);
    assert.equal(await assertInLayout(workspace.file('sha512'), copied), 4);
    const stored = await findInLayout(path.join(registry.root, 'regctl/sha512'), '512');
    assert.equal(await assertInLayout(path.join(registry.root, 'regctl/sha512'), stored), 4);
  });

  test('attaches artifacts to an image and lists them', { skip: onlyOurs }, async () => {
    const image = await pushTools('regctl/artifacts:1');
    await writeFile(workspace.file('sbom.json'), '{"spdxVersion":"SPDX-2.3"}');
    await writeFile(workspace.file('note.txt'), 'a note');
    const subject = ['--subject', remote('regctl/artifacts:1')];
    await regctl(
      'artifact put --artifact-type application/spdx+json --file sbom.json --annotation kind=sbom',
      ...subject,
    );
    await regctl('artifact put --artifact-type text/x-note --file note.txt', ...subject);
    const referrers = await getReferrers(registry, 'regctl/artifacts', image.digest);
    assert.deepEqual(referrers.map((one) => String(one.artifactType)).toSorted(), [
      'application/spdx+json',
      'text/x-note',
    ]);
    const format = ['--format', '{{range .Descriptors}}{{.Digest}} {{.ArtifactType}}{{end}}'];
    const filter = ['--filter-artifact-type', 'application/spdx+json'];
    const listed = await regctl('artifact list', ...format, ...filter, remote('regctl/artifacts:1'));
    const sbom = referrers.find((one) => one.artifactType === 'application/spdx+json');
    assert.equal(listed, `${sbom?.digest} application/spdx+json`);
    assert.equal(sbom?.annotations?.['kind'], 'sbom');
    assert.equal(await regctl('artifact get', ...subject, ...filter), '{"spdxVersion":"SPDX-2.3"}');
    assert.deepEqual(await getTags(registry, 'regctl/artifacts'), ['1'], 'no fallback tag is needed');
  });

  test('copies an image with its referrers', { skip: onlyOurs }, async () => {
    const image = await pushTools('regctl/with-referrers:1');
    await writeFile(workspace.file('signature'), 'signed');
    const subject = ['--subject', remote('regctl/with-referrers:1')];
    await regctl('artifact put --artifact-type application/x-signature --file signature', ...subject);
    await regctl('image copy --referrers', remote('regctl/with-referrers:1'), remote('regctl/target:1'));
    const before = await getReferrers(registry, 'regctl/with-referrers', image.digest);
    assert.equal(before.length, 1);
    assert.deepEqual(await getReferrers(registry, 'regctl/target', image.digest), before);
  });

  test('stores an artifact under a tag', async () => {
    await writeFile(workspace.file('plain.txt'), 'plain artifact');
    await regctl('artifact put --artifact-type text/x-plain --file plain.txt', remote('regctl/plain:1'));
    assert.equal(await regctl('artifact get', remote('regctl/plain:1')), 'plain artifact');
  });

  test('lists repositories and tags, page by page', async () => {
    for (const tag of ['a', 'b', 'c', 'd']) await pushTools(`regctl/pages:${tag}`);
    assert.equal(await regctl('tag list --limit 2', remote('regctl/pages')), 'a\nb');
    assert.equal(await regctl('tag list --limit 2 --last b', remote('regctl/pages')), 'c\nd');
    const repositories = (await regctl('repo list', registry.host)).split('\n');
    assert.ok(repositories.includes('regctl/pages'));
  });

  test('deletes a tag and keeps what else points to the manifest', async () => {
    const image = await pushTools('regctl/delete:one');
    await pushTools('regctl/delete:two');
    await regctl('tag delete', remote('regctl/delete:one'));
    assert.deepEqual(await getTags(registry, 'regctl/delete'), ['two']);
    assert.equal(await digestOfTag(registry, 'regctl/delete', 'two'), image.digest);
  });

  test('deletes a manifest by digest', async () => {
    const image = await pushTools('regctl/delete-digest:one');
    await regctl('manifest delete', remote(`regctl/delete-digest@${image.digest}`));
    assert.equal(await digestOfTag(registry, 'regctl/delete-digest', 'one'), null);
  });

  test('pushes a manifest of its own making unchanged and is refused one without its blobs', async () => {
    const image = await pushTools('regctl/manifest:1');
    const body = await regctl('manifest get --format raw-body', remote('regctl/manifest:1'));
    await writeFile(workspace.file('manifest.json'), body);
    const put = ['manifest', 'put', '--content-type', mediaTypes.manifest];
    const shell = `'${goTool('regctl')}' ${put.join(' ')} "$0" < manifest.json`;
    const options = { env: environment(), cwd: workspace.folder };
    await runProgram('/bin/sh', ['-c', shell, remote('regctl/manifest:copy')], options);
    assert.equal(await digestOfTag(registry, 'regctl/manifest', 'copy'), image.digest);
    const refused = await tryProgram(
      '/bin/sh',
      ['-c', shell, remote('regctl/manifest-without-blobs:1')],
      options,
    );
    assert.notEqual(refused.exitCode, 0);
    assert.equal(await digestOfTag(registry, 'regctl/manifest-without-blobs', '1'), null);
  });

  /** regctl reads a blob from its standard input. */
  async function putBlob(repository: string): Promise<string> {
    const shell = `'${goTool('regctl')}' blob put --format '{{.Digest}}' "$0" < blob`;
    const options = { env: environment(), cwd: workspace.folder };
    return (await runProgram('/bin/sh', ['-c', shell, remote(repository)], options)).stdout.trim();
  }
});
