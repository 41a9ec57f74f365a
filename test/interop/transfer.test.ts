/** What `zot export` writes is read by other tools, and what they write comes in by `zot import`. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { runZot, zotJson } from '../support/run-zot.ts';
import { helloIndex, toolsImage, type Fixture } from './support/fixtures.ts';
import { findInLayout } from './support/layout.ts';
import { runProgram, skipWithout, skipWithoutGoTool } from './support/program.ts';
import { goToolPath } from '../../tools/go-tools.ts';
import { assertInLayout } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
let hello: Fixture;
let tools: Fixture;
let root = '';
before(async () => {
  workspace = await makeWorkspace('transfer');
  [hello, tools] = [await helloIndex(), await toolsImage()];
  root = workspace.file('root');
  await mkdir(root);
  await zotJson('import', root, hello.folder, '--repo', 'hello');
  await zotJson('import', root, tools.folder, '--repo', 'team/tools');
});
after(() => workspace.remove());

const copy = (...args: string[]): Promise<unknown> =>
  runProgram('skopeo', ['copy', '--quiet', '--all', '--preserve-digests', ...args]);

describe('skopeo', { skip: await skipWithout('skopeo') }, () => {
  test('reads a folder and an archive of ours to the bit', async () => {
    const index = await findInLayout(hello.folder, hello.tag);
    await zotJson('export', root, `hello:${hello.tag}`, '--to', workspace.file('hello'));
    await copy(`oci:${workspace.file('hello')}:${hello.tag}`, `oci:${workspace.file('hello-back')}:x`);
    assert.equal((await findInLayout(workspace.file('hello-back'), 'x')).digest, index.digest);
    await zotJson('export', root, `hello:${hello.tag}`, '--to', workspace.file('hello.tar'));
    await copy(
      `oci-archive:${workspace.file('hello.tar')}:${hello.tag}`,
      `oci:${workspace.file('tar-back')}:x`,
    );
    assert.equal(await assertInLayout(workspace.file('tar-back'), index), 10);
  });

  test('writes a folder and an archive that come in to the bit', async () => {
    const image = await findInLayout(tools.folder, tools.tag);
    const from = `oci:${tools.folder}:${tools.tag}`;
    await copy(from, `oci-archive:${workspace.file('tools.tar')}:v1`);
    await zotJson('import', root, workspace.file('tools.tar'), '--repo', 'from/archive');
    await copy(from, `oci:${workspace.file('tools')}:v1`);
    await zotJson('import', root, workspace.file('tools'), '--repo', 'from/folder');
    for (const repo of ['from/archive', 'from/folder'])
      assert.equal((await findInLayout(`${root}/${repo}`, 'v1')).digest, image.digest);
    assert.equal((await runZot('check', root, '--deep')).exitCode, 0);
  });
});

describe('buildah', { skip: await skipWithout('buildah') }, () => {
  test('pulls an archive of ours', async () => {
    await zotJson('export', root, `team/tools:${tools.tag}`, '--to', workspace.file('for-buildah.tar'));
    const storage = [
      '--root',
      workspace.file('b-root'),
      '--runroot',
      workspace.file('b-run'),
      '--storage-driver',
      'vfs',
    ];
    const archive = `oci-archive:${workspace.file('for-buildah.tar')}`;
    await runProgram('buildah', [...storage, 'pull', '--quiet', archive]);
    const { stdout } = await runProgram('buildah', [...storage, 'images', '--format', '{{.Digest}}']);
    assert.match(stdout, /sha256:/);
  });
});

describe('podman', { skip: await skipWithout('podman') }, () => {
  test('loads an archive of ours, and one that it saves comes in', async () => {
    const folders = ['--root', workspace.file('p-root'), '--runroot', workspace.file('p-run')];
    const podman = (...args: string[]): Promise<{ stdout: string }> =>
      runProgram('podman', [...folders, '--storage-driver', 'vfs', ...args]);
    await zotJson('export', root, `team/tools:${tools.tag}`, '--to', workspace.file('for-podman.tar'));
    await podman('load', '--quiet', '--input', workspace.file('for-podman.tar'));
    const { stdout } = await podman('images', '--quiet', '--no-trunc');
    const [id = ''] = stdout.trim().split('\n');
    await podman('save', '--quiet', '--format', 'oci-archive', '--output', workspace.file('saved.tar'), id);
    // Saved by its id, it has no name.
    await zotJson('import', root, workspace.file('saved.tar'), '--repo', 'from/podman', '--tag', 'saved');
    assert.ok((await findInLayout(`${root}/from/podman`, 'saved')).digest);
  });
});

describe('umoci', { skip: await skipWithout('umoci') }, () => {
  test('lists and unpacks a layout of ours', async () => {
    await zotJson('export', root, 'team/tools', '--to', workspace.file('for-umoci'));
    const list = await runProgram('umoci', ['ls', '--layout', workspace.file('for-umoci')]);
    assert.equal(list.stdout.trim(), tools.tag);
    const image = `${workspace.file('for-umoci')}:${tools.tag}`;
    await runProgram('umoci', ['unpack', '--rootless', '--image', image, workspace.file('bundle')]);
  });
});

describe('oras', { skip: await skipWithoutGoTool('oras') }, () => {
  test('finds the referrers of an image in a layout of ours, and its own come in', async () => {
    const oras = (...args: string[]): Promise<{ stdout: string }> =>
      runProgram(goToolPath('oras'), args, { cwd: workspace.folder });
    const layout = workspace.file('oras');
    await zotJson('export', root, `hello:${hello.tag}`, '--to', layout);
    await oras(
      'attach',
      '--oci-layout',
      '--artifact-type',
      'application/x.note',
      `${layout}:${hello.tag}`,
      '--annotation',
      'a=b',
    );
    await zotJson('import', root, layout, '--repo', 'noted');
    await zotJson('export', root, `noted:${hello.tag}`, '--to', workspace.file('noted'));
    const { stdout } = await oras(
      'discover',
      '--oci-layout',
      '--format',
      'json',
      `${workspace.file('noted')}:${hello.tag}`,
    );
    assert.match(stdout, /application\/x\.note/);
  });
});
