import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { digestOf, readManifest } from './support/layout.ts';
import { goTool, runProgram, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { openRegistry, type Registry } from './support/registry.ts';
import { assertServed, getManifest, getTags } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

describe('helm', { skip: await skipWithoutGoTool('helm') }, () => {
  let registry: Registry;
  let workspace: Workspace;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('helm');
    await helm('create', 'demo');
    for (const version of ['0.1.0', '0.2.0', '1.0.0+build.7']) {
      await helm('package', 'demo', '--version', version, '--app-version', version);
      await helm('push', '--plain-http', `demo-${version}.tgz`, charts());
    }
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  const charts = (): string => `oci://${registry.host}/charts`;

  /** Runs helm with homes of its own, so that nothing of the machine is read or written. */
  async function helm(...args: readonly string[]): Promise<string> {
    const env = Object.fromEntries(
      ['HELM_CACHE_HOME', 'HELM_CONFIG_HOME', 'HELM_DATA_HOME'].map((name) => [name, workspace.file(name)]),
    );
    return (await runProgram(goTool('helm'), args, { cwd: workspace.folder, env })).stdout.trim();
  }

  test('pushed charts are artifacts with the parts that the chart specification names', async () => {
    // A plus sign cannot stand in a tag: helm writes an underscore.
    assert.deepEqual((await getTags(registry, 'charts/demo')).toSorted(), [
      '0.1.0',
      '0.2.0',
      '1.0.0_build.7',
    ]);
    const served = await getManifest(registry, 'charts/demo', '0.2.0');
    assert.ok(served !== null);
    const manifest = readManifest(JSON.parse(served.bytes.toString()));
    assert.equal(manifest.config?.mediaType, 'application/vnd.cncf.helm.config.v1+json');
    assert.equal(manifest.layers?.[0]?.digest, digestOf(await readFile(workspace.file('demo-0.2.0.tgz'))));
    assert.equal(
      await assertServed(registry, 'charts/demo', { ...served, size: served.bytes.byteLength }),
      3,
    );
  });

  test('pulls a version, the newest of a range, and a digest', async () => {
    await helm(
      'pull',
      '--plain-http',
      `${charts()}/demo`,
      '--version',
      '0.1.0',
      '--destination',
      workspace.folder,
    );
    const output = await helm(
      'pull',
      '--plain-http',
      `${charts()}/demo`,
      '--version',
      '>=0.1.0 <1',
      '--untar',
      '--untardir',
      'range',
    );
    assert.match(await readFile(workspace.file('range/demo/Chart.yaml'), 'utf8'), /version: 0\.2\.0/, output);
    const served = await getManifest(registry, 'charts/demo', '0.1.0');
    await helm(
      'pull',
      '--plain-http',
      `${charts()}/demo@${served?.digest}`,
      '--untar',
      '--untardir',
      'digest',
    );
    assert.match(await readFile(workspace.file('digest/demo/Chart.yaml'), 'utf8'), /version: 0\.1\.0/);
  });

  test('shows and renders a chart from the registry', async () => {
    assert.match(
      await helm('show', 'chart', '--plain-http', `${charts()}/demo`, '--version', '0.2.0'),
      /version: 0\.2\.0/,
    );
    assert.match(
      await helm('template', 'release', '--plain-http', `${charts()}/demo`, '--version', '0.2.0'),
      /kind: Deployment/,
    );
  });

  test('is told that a version does not exist', async () => {
    const outcome = await tryProgram(goTool('helm'), [
      'pull',
      '--plain-http',
      `${charts()}/demo`,
      '--version',
      '9.9.9',
    ]);
    assert.notEqual(outcome.exitCode, 0);
    assert.match(outcome.stderr, /not found|could not/i);
  });
});
