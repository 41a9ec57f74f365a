/** Every script of this folder is run as it is, with the program of this checkout as `zot`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { descriptorOf, imageOf } from '../../test/e2e/support/content.ts';
import { contentsOf, tagged, writeLayout } from '../../test/e2e/support/layout.ts';
import { zotJson } from '../../test/support/run-zot.ts';
import { projectRoot } from '../../test/support/server.ts';

const run = promisify(execFile);
const folder = mkdtempSync(path.join(tmpdir(), 'zot-examples-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

const image = imageOf('moved');
const signature = imageOf('signed', { subject: descriptorOf(image.manifest) });

before(async () => {
  const index = {
    schemaVersion: 2,
    manifests: [tagged(image.manifest, '1.0'), descriptorOf(signature.manifest)],
  };
  await writeLayout(at('layout'), index, [...contentsOf(image), ...contentsOf(signature)]);
  await mkdir(at('from'));
  await zotJson('import', at('from'), at('layout'), '--repo', 'team/app');
  const program = path.join(projectRoot, 'src/bin/zot.ts');
  await mkdir(at('bin'));
  await writeFile(at('bin/zot'), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, {
    mode: 0o755,
  });
});

function script(name: string, ...args: string[]): Promise<unknown> {
  const env = { ...process.env, PATH: `${at('bin')}:${process.env['PATH']}` };
  return run('/bin/sh', [path.join(import.meta.dirname, name), ...args], { env, timeout: 60_000 });
}

async function digestsIn(layout: string): Promise<string[]> {
  const text = await readFile(path.join(layout, 'index.json'), 'utf8');
  const { manifests } = JSON.parse(text) as { manifests: { digest: string }[] };
  return manifests.map(({ digest }) => digest).sort();
}

const both = [image.manifest.digest, signature.manifest.digest].sort();

const TESTS: Record<string, () => Promise<void>> = {
  'copy-image.sh': async () => {
    await mkdir(at('to'));
    await script('copy-image.sh', at('from'), 'team/app:1.0', at('to'));
    assert.deepEqual(await digestsIn(at('to/team/app')), both);
  },
  'nightly-copy.sh': async () => {
    for (let night = 0; night < 2; night += 1) await script('nightly-copy.sh', at('from'), at('copy'));
    assert.deepEqual(await digestsIn(at('copy/images/team/app')), both);
    await zotJson('restore', at('from'), '--from', at('copy/records.db'));
  },
  'from-docker-registry.sh': async () => {
    const inner = at('peer/docker/registry/v2');
    for (const { digest, bytes } of contentsOf(image)) {
      const [, hex = ''] = digest.split(':');
      await mkdir(path.join(inner, 'blobs/sha256', hex.slice(0, 2), hex), { recursive: true });
      await writeFile(path.join(inner, 'blobs/sha256', hex.slice(0, 2), hex, 'data'), bytes);
    }
    const manifests = path.join(inner, 'repositories/team/app/_manifests');
    const { digest } = image.manifest;
    for (const place of [`revisions/${digest.replace(':', '/')}`, 'tags/1.0/current']) {
      await mkdir(path.join(manifests, place), { recursive: true });
      await writeFile(path.join(manifests, place, 'link'), digest);
    }
    await mkdir(at('taken'));
    await script('from-docker-registry.sh', at('peer'), at('taken'), at('taken'));
    assert.deepEqual(await digestsIn(at('taken/team/app')), [digest]);
  },
};

for (const [name, works] of Object.entries(TESTS))
  test(`${name} does what it says`, { timeout: 120_000 }, works);

test('every script of this folder has a test', () => {
  const scripts = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.sh'));
  assert.deepEqual(scripts.sort(), Object.keys(TESTS).sort());
});
