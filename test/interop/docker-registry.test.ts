/** `zot import docker-registry`: the storage folder of Debian's docker-registry, filled by real clients. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { digestOf, imageOf, descriptorOf } from '../e2e/support/content.ts';
import type { Content } from '../e2e/support/content.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import type { PeerRegistry } from '../support/docker-registry.ts';
import { runZot, zotJson } from '../support/run-zot.ts';
import { startServer } from '../support/server.ts';
import { helloIndex, toolsImage, type Fixture } from './support/fixtures.ts';
import { findInLayout } from './support/layout.ts';
import { runProgram, skipWithout } from './support/program.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

interface Report {
  readonly manifests: number;
  readonly tags: number;
  readonly blobsCopied: number;
  readonly blobsPresent: number;
  readonly blobsLinked: number;
  readonly skipped: readonly { readonly what: string; readonly why: string }[];
}

const skip = (await skipWithout('docker-registry')) || (await skipWithout('skopeo'));

describe('a docker-registry', { skip }, () => {
  let peer: PeerRegistry;
  let workspace: Workspace;
  let hello: Fixture;
  let tools: Fixture;
  const signed = imageOf('signed');
  const signature = imageOf('signature', {
    subject: descriptorOf(signed.manifest),
    artifactType: 'application/x.sig',
  });
  const doomed = imageOf('doomed');
  before(async () => {
    workspace = await makeWorkspace('docker-registry');
    [hello, tools] = [await helloIndex(), await toolsImage()];
    peer = await startDockerRegistry();
    await copy('--all', `oci:${hello.folder}:${hello.tag}`, remote('library/hello:v1'));
    await copy(`oci:${tools.folder}:${tools.tag}`, remote('team/tools:1'));
    await copy(`oci:${tools.folder}:${tools.tag}`, remote('team/tools:2'));
    await copy('--format', 'v2s2', `oci:${tools.folder}:${tools.tag}`, remote('docker/tools:1'));
    for (const image of [signed, signature, doomed]) await push('team/signed', image);
    await put('team/signed', signed.manifest, 'v1');
    await put('team/signed', doomed.manifest, 'doomed');
  });
  after(async () => {
    await peer.stop();
    await workspace.remove();
  });

  const remote = (name: string): string => `docker://${peer.host}/${name}`;
  const copy = (...args: string[]): Promise<unknown> =>
    runProgram('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', ...args]);

  async function put(repo: string, manifest: Content, reference: string): Promise<void> {
    const headers = { 'content-type': manifest.mediaType };
    const body = Buffer.from(manifest.bytes);
    const answer = await fetch(`${peer.url}/v2/${repo}/manifests/${reference}`, {
      method: 'PUT',
      headers,
      body,
    });
    assert.equal(answer.status, 201, await answer.text());
  }

  async function push(repo: string, image: ReturnType<typeof imageOf>): Promise<void> {
    for (const { bytes, digest } of [image.config, ...image.layers]) {
      const begun = await fetch(`${peer.url}/v2/${repo}/blobs/uploads/`, { method: 'POST' });
      const location = new URL(begun.headers.get('location') ?? '', peer.url);
      location.searchParams.set('digest', digest);
      const headers = { 'content-type': 'application/octet-stream' };
      const done = await fetch(location, { method: 'PUT', headers, body: Buffer.from(bytes) });
      assert.equal(done.status, 201, await done.text());
    }
    await put(repo, image.manifest, image.manifest.digest);
  }

  const emptyRoot = async (name: string): Promise<string> => {
    const root = workspace.file(name);
    await mkdir(root);
    return root;
  };
  const dataOf = ({ digest }: Pick<Content, 'digest'>): string => {
    const [algorithm = '', hex = ''] = digest.split(':');
    return path.join(peer.storage, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex, 'data');
  };

  test('comes in whole, by links, beside a server; the second time copies nothing', async () => {
    const server = await startServer({ config: { http: { workers: 2 } } });
    try {
      const report = await zotJson<Report>('import', 'docker-registry', peer.storage, server.configFile);
      assert.deepEqual(report.skipped, []);
      assert.equal(report.tags, 6);
      assert.equal(report.blobsCopied, 0);
      assert.ok(report.blobsLinked > 10);
      for (const [repo, tag] of [
        ['library/hello', 'v1'],
        ['team/tools', '1'],
        ['team/tools', '2'],
        ['docker/tools', '1'],
        ['team/signed', 'v1'],
      ]) {
        const digest = async (url: string): Promise<string | null> => {
          const headers = {
            accept:
              ['index', 'manifest'].map((kind) => `application/vnd.oci.image.${kind}.v1+json`).join() +
              ',application/vnd.docker.distribution.manifest.v2+json',
          };
          return (await fetch(`${url}/v2/${repo}/manifests/${tag}`, { headers })).headers.get(
            'docker-content-digest',
          );
        };
        assert.equal(await digest(server.url), await digest(peer.url));
      }
      const referrers = await fetch(`${server.url}/v2/team/signed/referrers/${signed.manifest.digest}`);
      const { manifests } = (await referrers.json()) as { manifests: { digest: string }[] };
      assert.deepEqual(
        manifests.map(({ digest }) => digest),
        [signature.manifest.digest],
      );
      const layer = (await findInLayout(tools.folder, tools.tag)).digest;
      assert.ok((await fetch(`${server.url}/v2/team/tools/manifests/${layer}`)).ok);
      const again = await zotJson<Report>('import', 'docker-registry', peer.storage, server.configFile);
      assert.deepEqual([again.blobsCopied, again.blobsLinked], [0, 0]);
      assert.equal((await runZot('check', server.root, '--deep')).exitCode, 0);
      const { nlink } = await stat(dataOf(signed.config));
      assert.ok(nlink > 1, 'the blob is shared');
    } finally {
      await server.stop();
    }
  });

  test('one repository can be chosen, and an image of Docker is served as it was', async () => {
    const root = await emptyRoot('one');
    const report = await zotJson<Report>(
      'import',
      'docker-registry',
      peer.storage,
      root,
      '--repo',
      'docker/tools',
    );
    assert.equal(report.tags, 1);
    const none = await runZot('import', 'docker-registry', peer.storage, root, '--repo', 'none');
    assert.match(none.errors, /^Error: \S+ has no repository none\n$/);
    const stray = await runZot('import', 'docker-registry', workspace.folder, root);
    assert.match(stray.errors, /is no storage folder of a docker-registry/);
  });

  test('what cannot come in is named with its reason, and the rest does', async () => {
    const root = await emptyRoot('damaged');
    const inner = path.join(peer.storage, 'docker/registry/v2/repositories/team/signed/_manifests');
    const old = Buffer.from(
      JSON.stringify({ schemaVersion: 1, name: 'team/signed', tag: 'old', fsLayers: [] }),
    );
    const oldDigest = digestOf(old);
    const link = async (folder: string, digest: string): Promise<void> => {
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, 'link'), digest);
    };
    await mkdir(path.dirname(dataOf({ digest: oldDigest })), { recursive: true });
    await writeFile(dataOf({ digest: oldDigest }), old);
    await link(path.join(inner, 'revisions', ...oldDigest.split(':')), oldDigest);
    await link(path.join(inner, 'tags/old/current'), oldDigest);
    await link(path.join(inner, 'tags/gone/current'), digestOf('gone'));
    await link(path.join(inner, 'tags/torn/current'), 'sha256:12');
    const [layer] = doomed.layers;
    assert.ok(layer);
    const sound = await readFile(dataOf(layer));
    await rm(dataOf(layer));
    await writeFile(dataOf(layer), Buffer.alloc(sound.length, 'x'));
    const { exitCode, text } = await runZot('import', 'docker-registry', peer.storage, root, '--json');
    assert.equal(exitCode, 1);
    const { skipped, tags } = JSON.parse(text) as Report;
    const why = new Map(skipped.map((one) => [one.what.replace(/^sha256:\S+ /, ''), one.why]));
    assert.match(why.get('team/signed:old') ?? '', /Docker schema 1/);
    assert.match(why.get('team/signed:gone') ?? '', /was deleted/);
    assert.match(why.get('team/signed:torn') ?? '', /names no manifest/);
    assert.match(why.get('(doomed)') ?? '', /the blob \S+ is damaged/);
    assert.equal(tags, 5);
    assert.equal((await runZot('check', root, '--deep')).exitCode, 0);
    // Mended at its source, it comes in the next time, and nothing else is done again.
    await writeFile(dataOf(layer), sound);
    const again = JSON.parse(
      (await runZot('import', 'docker-registry', peer.storage, root, '--json')).text,
    ) as Report;
    assert.deepEqual([again.tags, again.blobsCopied, again.blobsLinked], [6, 0, 1]);
    await truncate(dataOf(signed.manifest), 10);
    const torn = JSON.parse(
      (await runZot('import', 'docker-registry', peer.storage, root, '--json')).text,
    ) as Report;
    assert.ok(torn.skipped.some((one) => one.what === 'team/signed:v1' && /damaged/.test(one.why)));
  });
});
