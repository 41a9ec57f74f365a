import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Metafile } from 'esbuild';
import { composeBuildInfo, type BuildFlavour } from '#lib/build-info';
import { bundleProgram, escapeWideCharacters, modulesOf, packagesOf } from './bundle.ts';

/** A module of one extension. The two lists and the contract, right below src/extensions/, are core. */
const isExtensionModule = (path: string): boolean => /^src\/extensions\/[^/]+\//.test(path);

describe('what is inside the bundles', () => {
  let folder: string;
  const metafiles: Partial<Record<BuildFlavour, Metafile>> = {};

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'zot-bundle-'));
    for (const flavour of ['full', 'minimal'] as const) {
      const info = composeBuildInfo({ version: '0.0.0', commit: 'test', flavour });
      metafiles[flavour] = (await bundleProgram({ flavour, info, outFolder: folder })).metafile;
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function metafileOf(flavour: BuildFlavour): Metafile {
    const metafile = metafiles[flavour];
    assert.ok(metafile);
    return metafile;
  }

  test('both hold the whole core', () => {
    for (const flavour of ['full', 'minimal'] as const) {
      const modules = modulesOf(metafileOf(flavour));
      for (const part of ['bin/zot.ts', 'cli/serve.ts', 'storage/storage.ts', 'registry/registry.ts']) {
        assert.ok(modules.includes(`src/${part}`), `${flavour}: ${part}`);
      }
    }
  });

  test('the minimal bundle holds no module of an extension', () => {
    assert.deepEqual(modulesOf(metafileOf('minimal')).filter(isExtensionModule), []);
  });

  test('the minimal bundle holds no npm package that only extensions use', () => {
    const full = metafileOf('full');
    const minimal = packagesOf(modulesOf(metafileOf('minimal')));
    const byExtensions = packagesImportedBy(full, isExtensionModule);
    const byCore = packagesImportedBy(full, (path) => path.startsWith('src/') && !isExtensionModule(path));
    const onlyExtensions = byExtensions.filter((name) => !byCore.includes(name));
    assert.deepEqual(
      minimal.filter((name) => onlyExtensions.includes(name)),
      [],
    );
    assert.deepEqual(
      byCore.filter((name) => !minimal.includes(name)),
      [],
    );
  });

  test('the text is ASCII: one other character would double the memory that V8 keeps it in', () => {
    const text = readFileSync(join(folder, 'zot-minimal.mjs'), 'latin1');
    const strange = /[^\0-\x7f]/.exec(text);
    const around = strange === null ? '' : text.slice(Math.max(0, strange.index - 60), strange.index + 20);
    assert.equal(around, '');
  });

  test('node:http is not imported: reading all its exports would load Node’s whole fetch', () => {
    for (const name of ['zot.mjs', 'zot-minimal.mjs']) {
      const text = readFileSync(join(folder, name), 'latin1');
      assert.doesNotMatch(text, /from\s*["']node:http["']/);
      assert.match(text, /getBuiltinModule\(["']node:http["']\)/);
    }
  });

  test('the bundles need nothing from disk: what they import is part of Node', () => {
    for (const flavour of ['full', 'minimal'] as const) {
      const outside = Object.values(metafileOf(flavour).outputs)
        .flatMap(({ imports }) => imports)
        .filter(({ external }) => external === true)
        .map(({ path }) => path)
        .filter((path) => !isBuiltinName(path));
      assert.deepEqual(outside, []);
    }
  });
});

test('a wide character is escaped so that a regular expression still means the same', () => {
  assert.equal(escapeWideCharacters('/(us|µs)/'), '/(us|\\u00b5s)/');
  assert.equal(escapeWideCharacters('/\\µ/'), '/\\u00b5/');
  assert.equal(escapeWideCharacters('/\\\\µ/'), '/\\\\\\u00b5/');
  assert.equal(escapeWideCharacters('/[😀]/u'), '/[\\ud83d\\ude00]/u');
  assert.match('😀', /^[\ud83d\ude00]$/u);
});

function isBuiltinName(path: string): boolean {
  return path.startsWith('node:') || process.getBuiltinModule(path) !== undefined;
}

function packagesImportedBy(metafile: Metafile, isImporter: (path: string) => boolean): string[] {
  const imported = Object.entries(metafile.inputs)
    .filter(([path]) => isImporter(path))
    .flatMap(([, { imports }]) => imports.map(({ path }) => path));
  return packagesOf(imported);
}
