import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { helloIndex, toolsImage } from './support/fixtures.ts';
import {
  digestOf,
  findInLayout,
  mediaTypes,
  readManifest,
  tagsInLayout,
  type Descriptor,
} from './support/layout.ts';
import { goTool, runProgram, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import {
  assertInLayout,
  assertServed,
  digestOfTag,
  getManifest,
  getReferrers,
  getTags,
} from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

describe('oras', { skip: await skipWithoutGoTool('oras') }, () => {
  let registry: Registry;
  let workspace: Workspace;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('oras');
    await writeFile(workspace.file('sbom.json'), '{"spdxVersion":"SPDX-2.3"}');
    await writeFile(workspace.file('signature.bin'), Buffer.from([0, 1, 2, 255]));
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  async function oras(command: string, ...args: readonly string[]): Promise<string> {
    const options = { cwd: workspace.folder };
    return (await runProgram(goTool('oras'), [...command.split(' '), ...args], options)).stdout.trim();
  }

  const remote = (name: string): string => `${registry.host}/${name}`;

  async function pushTools(name: string): Promise<Descriptor> {
    const tools = await toolsImage();
    await oras('cp --from-oci-layout --to-plain-http', `${tools.folder}:${tools.tag}`, remote(name));
    return await findInLayout(tools.folder, tools.tag);
  }

  test('pushes files as an artifact and pulls them back', async () => {
    await mkdir(workspace.file('tree/deep'), { recursive: true });
    await writeFile(workspace.file('tree/deep/file.txt'), 'in a folder');
    const files = ['signature.bin:application/octet-stream', 'tree'];
    await oras(
      'push --plain-http --artifact-type application/x-test',
      remote('oras/files:1,latest'),
      ...files,
    );
    assert.deepEqual(await getTags(registry, 'oras/files'), ['1', 'latest']);
    const served = await getManifest(registry, 'oras/files', '1');
    assert.ok(served !== null);
    assert.match(served.bytes.toString(), /"artifactType":"application\/x-test"/);
    await assertServed(registry, 'oras/files', { ...served, size: served.bytes.byteLength });
    await oras('pull --plain-http --output pulled', remote('oras/files:latest'));
    assert.deepEqual(await readFile(workspace.file('pulled/signature.bin')), Buffer.from([0, 1, 2, 255]));
    assert.equal(await readFile(workspace.file('pulled/tree/deep/file.txt'), 'utf8'), 'in a folder');
  });

  test('pushes an artifact without files (empty config descriptor)', async () => {
    await oras(
      'push --plain-http --artifact-type application/x-empty --annotation a=b',
      remote('oras/empty:1'),
    );
    const served = await getManifest(registry, 'oras/empty', '1');
    assert.ok(served !== null);
    const manifest = readManifest(JSON.parse(served.bytes.toString()));
    assert.equal(manifest.config?.mediaType, 'application/vnd.oci.empty.v1+json');
    await assertServed(registry, 'oras/empty', { ...served, size: served.bytes.byteLength });
  });

  test('attaches artifacts to an image and discovers them', { skip: onlyOurs }, async () => {
    const image = await pushTools('oras/subject:1');
    await oras(
      'attach --plain-http --artifact-type application/spdx+json',
      remote('oras/subject:1'),
      'sbom.json',
    );
    await oras(
      'attach --plain-http --artifact-type application/x-sig',
      remote('oras/subject:1'),
      'signature.bin',
    );
    const referrers = await getReferrers(registry, 'oras/subject', image.digest);
    assert.deepEqual(referrers.map((one) => String(one.artifactType)).toSorted(), [
      'application/spdx+json',
      'application/x-sig',
    ]);
    for (const referrer of referrers) await assertServed(registry, 'oras/subject', referrer);

    const found: unknown = JSON.parse(
      await oras(
        'discover --plain-http --format json --artifact-type application/x-sig',
        remote('oras/subject:1'),
      ),
    );
    const signature = referrers.find((one) => one.artifactType === 'application/x-sig');
    assert.ok(signature !== undefined);
    assert.match(JSON.stringify(found), new RegExp(signature.digest));
    assert.doesNotMatch(JSON.stringify(found), /spdx/);
    assert.deepEqual(await getTags(registry, 'oras/subject'), ['1'], 'no fallback tag is needed');

    await oras(
      'attach --plain-http --artifact-type application/x-timestamp',
      remote(`oras/subject@${signature.digest}`),
      'sbom.json',
    );
    const tree = await oras('discover --plain-http --format tree', remote('oras/subject:1'));
    assert.match(tree, /application\/x-timestamp/, 'a referrer of a referrer');
  });

  test('copies an artifact with all its referrers, to a layout and back', { skip: onlyOurs }, async () => {
    const image = await pushTools('oras/graph:1');
    await oras(
      'attach --plain-http --artifact-type application/x-sig',
      remote('oras/graph:1'),
      'signature.bin',
    );
    await oras(
      'cp --recursive --from-plain-http --to-plain-http',
      remote('oras/graph:1'),
      remote('oras/graph-copy:1'),
    );
    const expected = await getReferrers(registry, 'oras/graph', image.digest);
    assert.equal(expected.length, 1);
    assert.deepEqual(await getReferrers(registry, 'oras/graph-copy', image.digest), expected);

    await oras(
      'cp --recursive --from-plain-http --to-oci-layout',
      remote('oras/graph:1'),
      `${workspace.file('layout')}:1`,
    );
    await assertInLayout(workspace.file('layout'), image);
    const [referrer] = expected;
    assert.ok(referrer !== undefined);
    await assertInLayout(workspace.file('layout'), referrer);
    await oras(
      'cp --recursive --from-oci-layout --to-plain-http',
      `${workspace.file('layout')}:1`,
      remote('oras/graph-back:1'),
    );
    assert.deepEqual(await getReferrers(registry, 'oras/graph-back', image.digest), expected);
  });

  test('backs up a repository and restores it', { skip: onlyOurs }, async () => {
    const image = await pushTools('oras/backup:1');
    await pushTools('oras/backup:2');
    await oras(
      'attach --plain-http --artifact-type application/x-sig',
      remote('oras/backup:1'),
      'signature.bin',
    );
    await oras('backup --plain-http --include-referrers --output backup', remote('oras/backup:1,2'));
    await oras('restore --plain-http --input backup', remote('oras/restored:1,2'));
    assert.deepEqual(await getTags(registry, 'oras/restored'), ['1', '2']);
    assert.equal(await digestOfTag(registry, 'oras/restored', '2'), image.digest);
    assert.equal((await getReferrers(registry, 'oras/restored', image.digest)).length, 1);
  });

  test('copies an index with all its images, or one platform of it', async () => {
    const hello = await helloIndex();
    const index = await findInLayout(hello.folder, hello.tag);
    await oras(
      'cp --from-oci-layout --to-plain-http',
      `${hello.folder}:${hello.tag}`,
      remote('oras/hello:v1'),
    );
    assert.equal(await assertServed(registry, 'oras/hello', index), 10);
    const both = ['--from-plain-http', '--to-plain-http', '--platform', 'linux/arm64'];
    await oras('cp', ...both, remote('oras/hello:v1'), remote('oras/hello-arm:v1'));
    const single = await getManifest(registry, 'oras/hello-arm', 'v1');
    assert.equal(single?.mediaType, mediaTypes.manifest);
  });

  test('creates an index and changes it', async () => {
    await pushTools('oras/index:amd64');
    await oras('manifest index create --plain-http', remote('oras/index:all'), 'amd64');
    const before = await getManifest(registry, 'oras/index', 'all');
    assert.equal(before?.mediaType, mediaTypes.index);
    await oras('push --plain-http --artifact-type application/x-part', remote('oras/index:part'));
    await oras('manifest index update --plain-http --add part', remote('oras/index:all'));
    const after = await getManifest(registry, 'oras/index', 'all');
    assert.ok(after !== null);
    assert.notEqual(after.digest, before.digest);
    await assertServed(registry, 'oras/index', { ...after, size: after.bytes.byteLength });
  });

  test('pushes, fetches and deletes single blobs and manifests', async () => {
    const bytes = await readFile(workspace.file('sbom.json'));
    const digest = digestOf(bytes);
    await oras('blob push --plain-http', remote(`oras/parts@${digest}`), 'sbom.json');
    await oras('blob fetch --plain-http --output fetched.json', remote(`oras/parts@${digest}`));
    assert.deepEqual(await readFile(workspace.file('fetched.json')), bytes);
    await oras('blob delete --plain-http --force', remote(`oras/parts@${digest}`));
    const gone = await tryProgram(goTool('oras'), [
      'blob',
      'fetch',
      '--plain-http',
      '--descriptor',
      remote(`oras/parts@${digest}`),
    ]);
    assert.notEqual(gone.exitCode, 0);

    const image = await pushTools('oras/parts:1');
    await oras('manifest fetch --plain-http --output manifest.json', remote('oras/parts:1'));
    assert.equal(digestOf(await readFile(workspace.file('manifest.json'))), image.digest);
    await oras('manifest push --plain-http', remote('oras/parts:again'), 'manifest.json');
    assert.equal(await oras('resolve --plain-http', remote('oras/parts:again')), image.digest);
    await oras('manifest delete --plain-http --force', remote(`oras/parts@${image.digest}`));
    assert.equal(await digestOfTag(registry, 'oras/parts', 'again'), null);
  });

  test('tags and lists', async () => {
    await pushTools('oras/tags:one');
    await oras('tag --plain-http', remote('oras/tags:one'), 'two', 'three');
    assert.deepEqual((await oras('repo tags --plain-http', remote('oras/tags'))).split('\n').toSorted(), [
      'one',
      'three',
      'two',
    ]);
    const repositories = (await oras('repo ls --plain-http', registry.host)).split('\n');
    assert.ok(repositories.includes('oras/tags'), repositories.join(' '));
  });

  test('reads the storage folder of the running registry as a layout', { skip: onlyOurs }, async () => {
    const image = await pushTools('oras/disk:1');
    const folder = path.join(registry.root, 'oras/disk');
    assert.deepEqual(await tagsInLayout(folder), ['1']);
    assert.equal(await oras('resolve --oci-layout', `${folder}:1`), image.digest);
    await oras('cp --from-oci-layout --to-oci-layout', `${folder}:1`, `${workspace.file('from-disk')}:1`);
    await assertInLayout(workspace.file('from-disk'), image);
  });
});
