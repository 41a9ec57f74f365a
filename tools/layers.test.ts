import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { layers } from './layers.ts';
import { findLayer } from './layer-rules.ts';
import { rootFolder } from './build/paths.ts';

/** One planted file: where it lies below src/, what it imports, and whether the table allows that. */
interface Plant {
  readonly file: string;
  readonly line: string;
  readonly allowed: boolean;
}

const refused = (file: string, line: string): Plant => ({ file, line, allowed: false });
const allowed = (file: string, line: string): Plant => ({ file, line, allowed: true });

const plants: readonly Plant[] = [
  // A value, a type and a dynamic import of a layer above are all dependencies.
  refused('storage/value.ts', "import { x } from '#http';"),
  refused('storage/type.ts', "import type { X } from '#http';"),
  refused('storage/inline-type.ts', "import { type X } from '#registry';"),
  refused('storage/dynamic.ts', "await import('#http');"),
  refused('storage/re-export.ts', "export { x } from '#http';"),
  refused('storage/re-export-type.ts', "export type { X } from '#metadata';"),
  refused('storage/side-effect.ts', "import '#metadata';"),
  // Another module is reached by its # name only, never by a path.
  refused('storage/by-path.ts', "import { x } from '../oci/digest.ts';"),
  refused('storage/drivers/by-path.ts', "import { x } from '../../oci/digest.ts';"),
  refused('storage/drivers/by-path-up.ts', "import type { X } from '../../http/http.ts';"),
  refused('http/v2/deep/by-path.ts', "import { x } from '../../../storage/storage.ts';"),
  refused('registry/app.ts', "import { x } from '../app.ts';"),
  // Own files are free, also from a folder below.
  allowed('storage/own.ts', "import { x } from './paths.ts';"),
  allowed('storage/own-below.ts', "import { x } from './drivers/local.ts';"),
  allowed('storage/drivers/own-above.ts', "import { x } from '../paths.ts';"),
  allowed('http/v2/own-beside.ts', "import { x } from '../session/login.ts';"),
  // What the table allows.
  allowed('storage/lib.ts', "import { x } from '#lib/lru';"),
  allowed('registry/faces.ts', "import { x } from '#storage'; import { y } from '#metadata';"),
  refused('http/storage.ts', "import type { X } from '#storage';"),
  refused('http/metadata.ts', "import { x } from '#metadata';"),
  refused('oci/config.ts', "import type { X } from '#config';"),
  // Types only.
  allowed('storage/config-type.ts', "import type { X } from '#config';"),
  refused('storage/config-value.ts', "import { x } from '#config';"),
  refused('storage/config-dynamic.ts', "await import('#config');"),
  // Node's modules, and the trap that `node:*` would not cover a slash.
  allowed('lib/files.ts', "import { x } from 'node:fs/promises';"),
  allowed('oci/hash.ts', "import { x } from 'node:crypto';"),
  refused('oci/files.ts', "import { x } from 'node:fs';"),
  refused('oci/promises.ts', "import { x } from 'node:fs/promises';"),
  refused('registry/files.ts', "import { x } from 'node:fs/promises';"),
  refused('storage/network.ts', "import { x } from 'node:http';"),
  refused('metadata/sqlite.ts', "import { x } from 'node:sqlite';"),
  allowed('metadata/sqlite/index.ts', "import { x } from 'node:sqlite'; import { y } from '../metadata.ts';"),
  refused('metadata/sqlite/config.ts', "import { x } from '#config';"),
  refused('access/http.ts', "import type { X } from 'node:http';"),
  // Packages.
  allowed('http/server.ts', "import { x } from 'fastify';"),
  refused('registry/package.ts', "import { x } from 'fastify';"),
  refused('lib/package.ts', "import { x } from '@scope/name';"),
  refused('lib/package-path.ts', "import { x } from 'some/deep/file.js';"),
  // An extension knows the contract, the types of what it joins, and itself.
  allowed(
    'extensions/search/search.ts',
    "import type { Route } from '#http'; import type { X } from '#extension';",
  ),
  allowed('extensions/search/graph/types.ts', "import { x } from '../search.ts';"),
  refused('extensions/search/http.ts', "import { x } from '#http';"),
  refused('extensions/search/beside.ts', "import { x } from '../cve/cve.ts';"),
  refused('extensions/search/above.ts', "import type { X } from '../extension.ts';"),
  refused('extensions/search/graph/beside.ts', "import { x } from '../../cve/cve.ts';"),
  refused('extensions/search/storage.ts', "import type { X } from '#storage';"),
  allowed('extensions/full.ts', "import { x } from './search/search.ts';"),
  // Tests and suites.
  allowed('storage/some.test.ts', "import { x } from '../http/http.ts';"),
  allowed('storage/some.suite.ts', "import { x } from 'node:test';"),
  refused('storage/other.suite.ts', "import { x } from '#http';"),
  refused('storage/test-runner.ts', "import { x } from 'node:test';"),
  // Wiring.
  allowed('app.ts', "import { x } from './storage/drivers/local.ts';"),
  allowed('cli/serve.ts', "import { x } from '../processes/supervisor.ts';"),
  refused('cli/client/image.ts', "import { x } from '#storage';"),
];

interface Diagnostic {
  readonly code?: string;
  readonly filename: string;
}

describe('the layers of src/', () => {
  let folder: string;
  let faulty: Set<string>;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'zot-layers-'));
    for (const { file, line } of plants) {
      mkdirSync(join(folder, 'src', dirname(file)), { recursive: true });
      writeFileSync(join(folder, 'src', file), `${line}\n`);
    }
    symlinkSync(join(rootFolder, 'node_modules'), join(folder, 'node_modules'));
    symlinkSync(join(rootFolder, 'tools'), join(folder, 'tools'));
    const rules = `import { layerOverrides } from './tools/layer-rules.ts';
      export default { categories: { correctness: 'off' }, overrides: layerOverrides() };`;
    writeFileSync(join(folder, 'oxlint.config.ts'), rules);
    faulty = lint(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const plant of plants) {
    test(`${plant.allowed ? 'allow' : 'refuse'} in src/${plant.file}: ${plant.line}`, () => {
      assert.equal(faulty.has(`src/${plant.file}`), !plant.allowed);
    });
  }
});

function lint(folder: string): Set<string> {
  const oxlint = join(rootFolder, 'node_modules/oxlint/bin/oxlint');
  const { stdout, stderr } = spawnSync(process.execPath, [oxlint, '--format', 'json', 'src'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  const report = JSON.parse(stdout) as { diagnostics: Diagnostic[]; number_of_files: number };
  assert.equal(report.number_of_files, plants.length, `oxlint looked at other files: ${stderr}`);
  const found = report.diagnostics.filter(({ code }) => code?.includes('no-restricted-imports') === true);
  assert.equal(found.length, report.diagnostics.length, 'oxlint complains about something else');
  return new Set(found.map(({ filename }) => filename));
}

test('every folder and file of src/ stands in the table', () => {
  const missing = readdirSync(join(rootFolder, 'src'))
    .filter((name) => !name.endsWith('.test.ts'))
    .filter((name) => findLayer(name) === null);
  assert.deepEqual(missing, []);
});

test('the project is linted with the rules of the table', () => {
  const print = ['--print-config'];
  const oxlint = join(rootFolder, 'node_modules/oxlint/bin/oxlint');
  const config = execFileSync(process.execPath, [oxlint, ...print], { cwd: rootFolder, encoding: 'utf8' });
  for (const { folder } of layers)
    assert.ok(config.includes(`src/${folder}/*.ts`), `no rule for src/${folder}`);
});
