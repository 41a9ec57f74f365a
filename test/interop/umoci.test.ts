import assert from 'node:assert/strict';
import { cp, mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { toolsImage, type Fixture } from './support/fixtures.ts';
import { findInLayout, tagsInLayout } from './support/layout.ts';
import { runProgram, skipWithout } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { assertServed, digestOfTag, getTags } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

/** A change of index.json by another program is to be served within about two seconds; a busy machine gets more. */
const noticedWithinMs = 6000;

async function umoci(...args: readonly string[]): Promise<string> {
  return (await runProgram('umoci', args)).stdout;
}

const skip = onlyOurs === false ? await skipWithout('umoci') : onlyOurs;

describe('umoci on the storage folder of a running registry', { skip }, () => {
  let registry: Registry;
  let workspace: Workspace;
  let tools: Fixture;
  before(async () => {
    tools = await toolsImage();
    registry = await openRegistry();
    workspace = await makeWorkspace('umoci');
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  async function push(repository: string, tag: string): Promise<void> {
    const target = `docker://${registry.host}/${repository}:${tag}`;
    const args = ['copy', '--quiet', '--preserve-digests', '--dest-tls-verify=false'];
    await runProgram('skopeo', [...args, `oci:${tools.folder}:${tools.tag}`, target]);
  }

  async function becomesTag(repository: string, tag: string): Promise<string> {
    const isThere = async (): Promise<boolean> => (await digestOfTag(registry, repository, tag)) !== null;
    await eventually(isThere, noticedWithinMs, `${repository}:${tag} is served`);
    return (await digestOfTag(registry, repository, tag)) ?? '';
  }

  test('lists and describes what was pushed', async () => {
    await push('umoci/list', 'one');
    await push('umoci/list', 'two');
    const folder = path.join(registry.root, 'umoci/list');
    assert.deepEqual((await umoci('list', '--layout', folder)).trim().split('\n').toSorted(), ['one', 'two']);
    assert.match(await umoci('stat', '--image', `${folder}:one`), /interop fixture/);
  });

  test('unpacks a pushed image', async () => {
    await push('umoci/unpack', 'one');
    const bundle = workspace.file('bundle');
    await umoci('unpack', '--image', `${path.join(registry.root, 'umoci/unpack')}:one`, bundle);
    assert.deepEqual(await readFile(path.join(bundle, 'rootfs/bin/busybox')), await readFile('/bin/busybox'));
    assert.equal(await readlink(path.join(bundle, 'rootfs/bin/sh')), 'busybox');
    const license = 'usr/share/common-licenses/GPL-2';
    assert.deepEqual(await readFile(path.join(bundle, 'rootfs', license)), await readFile(`/${license}`));
  });

  test('adds a layer to a stored image: the new tag is served at once', async () => {
    await push('umoci/repack', 'base');
    const folder = path.join(registry.root, 'umoci/repack');
    const bundle = workspace.file('repack');
    await umoci('unpack', '--image', `${folder}:base`, bundle);
    await writeFile(path.join(bundle, 'rootfs/added.txt'), 'added by umoci\n');
    await umoci('repack', '--image', `${folder}:added`, bundle);
    const digest = await becomesTag('umoci/repack', 'added');
    const written = await findInLayout(folder, 'added');
    assert.equal(digest, written.digest);
    assert.equal(await assertServed(registry, 'umoci/repack', written), 5);
    assert.deepEqual(await getTags(registry, 'umoci/repack'), ['added', 'base']);
  });

  test('moves and removes tags: the registry follows', async () => {
    await push('umoci/tags', 'one');
    const folder = path.join(registry.root, 'umoci/tags');
    await umoci('config', '--image', `${folder}:one`, '--tag', 'two', '--config.label', 'made=by-umoci');
    const two = await becomesTag('umoci/tags', 'two');
    assert.notEqual(two, await digestOfTag(registry, 'umoci/tags', 'one'));
    await umoci('tag', '--image', `${folder}:two`, 'one');
    const moved = async (): Promise<boolean> => (await digestOfTag(registry, 'umoci/tags', 'one')) === two;
    await eventually(moved, noticedWithinMs, 'the moved tag is served');
    await umoci('rm', '--image', `${folder}:two`);
    const gone = async (): Promise<boolean> => (await digestOfTag(registry, 'umoci/tags', 'two')) === null;
    await eventually(gone, noticedWithinMs, 'the removed tag is gone');
    assert.deepEqual(await getTags(registry, 'umoci/tags'), ['one']);
  });

  test('a push after a change by umoci keeps that change', async () => {
    await push('umoci/both', 'ours');
    const folder = path.join(registry.root, 'umoci/both');
    await umoci('config', '--image', `${folder}:ours`, '--tag', 'theirs', '--config.label', 'a=b');
    await becomesTag('umoci/both', 'theirs');
    await push('umoci/both', 'again');
    assert.deepEqual(await tagsInLayout(folder), ['again', 'ours', 'theirs']);
    assert.deepEqual(await getTags(registry, 'umoci/both'), ['again', 'ours', 'theirs']);
  });

  test('makes a repository of its own in the storage folder, which is served', async () => {
    const folder = path.join(registry.root, 'umoci/made');
    await mkdir(path.dirname(folder), { recursive: true });
    await umoci('init', '--layout', folder);
    await umoci('new', '--image', `${folder}:fresh`);
    const rootfs = workspace.file('made');
    await umoci('unpack', '--image', `${folder}:fresh`, rootfs);
    await cp('/bin/busybox', path.join(rootfs, 'rootfs/busybox'));
    await umoci('repack', '--image', `${folder}:filled`, rootfs);
    await becomesTag('umoci/made', 'filled');
    assert.equal(await assertServed(registry, 'umoci/made', await findInLayout(folder, 'filled')), 3);
  });

  test('garbage collection by umoci takes nothing that is served', async () => {
    await push('umoci/gc', 'one');
    const folder = path.join(registry.root, 'umoci/gc');
    await umoci('gc', '--layout', folder);
    assert.equal(await assertServed(registry, 'umoci/gc', await findInLayout(folder, 'one')), 4);
  });
});
