/** What rotted on the disk is pushed again by clients as they are, because they are told that it is not there. */
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { runZot } from '../support/run-zot.ts';
import { toolsImage, type Fixture } from './support/fixtures.ts';
import { findInLayout, readManifest } from './support/layout.ts';
import { goTool, runProgram, skipWithout, skipWithoutGoTool } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { assertServed, getManifest } from './support/served.ts';

async function rot(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Buffer.from('#'), 0, 1, 9);
  await handle.close();
}

/** Gives the exit code: 2 for damage. */
async function scrub(registry: Registry): Promise<number> {
  return (await runZot('scrub', registry.root)).exitCode;
}

/** By a new tag each time: crane sends nothing where the tag names the same manifest already. */
type Push = (image: Fixture, registry: Registry, tag: string) => Promise<void>;

/** Rots a layer, the config and the manifest of an image in turn; the client pushes the image again each time. */
async function mends(push: Push): Promise<void> {
  const tools = await toolsImage();
  const registry = await openRegistry();
  try {
    await push(tools, registry, '1');
    const stored = await getManifest(registry, 'rot/tools', '1');
    assert.ok(stored);
    const manifest = readManifest(JSON.parse(stored.bytes.toString()));
    const digests = [manifest.layers?.[0]?.digest, manifest.config?.digest, stored.digest];
    for (const [at, digest] of digests.entries()) {
      assert.ok(digest);
      await rot(path.join(registry.root, 'rot/tools/blobs', ...digest.split(':')));
      assert.equal(await scrub(registry), 2);
      await push(tools, registry, `${at + 2}`);
      assert.equal(await scrub(registry), 0, `${digest} was not mended`);
    }
    const image = await findInLayout(tools.folder, tools.tag);
    assert.equal(await assertServed(registry, 'rot/tools', image), 4);
  } finally {
    await registry.stop();
  }
}

describe('damage is mended by a push', { timeout: 300_000 }, async () => {
  test('of crane', { skip: onlyOurs || (await skipWithoutGoTool('crane')) }, () =>
    mends(async (image, registry, tag) => {
      await runProgram(goTool('crane'), ['push', image.folder, `${registry.host}/rot/tools:${tag}`]);
    }),
  );

  test('of skopeo', { skip: onlyOurs || (await skipWithout('skopeo')) }, () =>
    mends(async (image, registry, tag) => {
      const from = `oci:${image.folder}:${image.tag}`;
      const to = `docker://${registry.host}/rot/tools:${tag}`;
      await runProgram('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', from, to]);
    }),
  );
});
