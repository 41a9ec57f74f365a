/**
 * Undo and immutable tags as real clients meet them, through two serving processes, with keys that are put in force
 * while the server runs.
 */
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { runZot } from '../support/run-zot.ts';
import { startServer, type RunningServer } from '../support/server.ts';
import { eventually } from '../support/eventually.ts';
import { helloIndex, toolsImage } from './support/fixtures.ts';
import { goTool, runProgram, skipWithout, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

async function crane(...args: readonly string[]): Promise<string> {
  return (await runProgram(goTool('crane'), args)).stdout.trim();
}

const skip = (await skipWithoutGoTool('crane')) || (await skipWithout('skopeo'));

describe('undo and immutable tags with real clients', { skip, timeout: 120_000 }, () => {
  let server: RunningServer;
  let workspace: Workspace;
  before(async () => {
    server = await startServer({ config: { http: { workers: 2 } } });
    workspace = await makeWorkspace('undo');
    const config = JSON.parse(await readFile(server.configFile, 'utf8')) as { storage: object };
    const immutableTags = [{ repositories: ['release/**'], tags: ['^v'] }];
    const storage = { ...config.storage, undo: '1h', immutableTags };
    await writeFile(`${server.configFile}.next`, JSON.stringify({ ...config, storage }));
    await rename(`${server.configFile}.next`, server.configFile);
    const isOn = async (): Promise<boolean> => {
      const answer = await fetch(`${server.url}/v2/any/_oci/tag-history/x?n=0`);
      return answer.status === 200;
    };
    await eventually(isOn, 20_000, 'the changed configuration is in force');
  });
  after(async () => {
    await server.stop();
    await workspace.remove();
  });

  test('an image of several platforms that crane deleted is had back whole', async () => {
    const hello = await helloIndex();
    const name = `${server.host}/team/hello`;
    const source = `oci:${hello.folder}:${hello.tag}`;
    const copy = ['copy', '--quiet', '--all', '--dest-tls-verify=false'];
    await runProgram('skopeo', [...copy, source, `docker://${name}:v1`]);
    const digest = await crane('digest', `${name}:v1`);
    await crane('delete', `${name}@${digest}`);
    assert.notEqual((await tryProgram(goTool('crane'), ['manifest', `${name}:v1`])).exitCode, 0);
    const swept = await runZot('gc', server.configFile, '--full');
    assert.equal(swept.exitCode, 0, swept.errors);
    const restored = await runZot('tag', 'restore', server.configFile, 'team/hello:v1');
    assert.equal(restored.exitCode, 0, restored.errors);
    assert.equal(await crane('digest', `${name}:v1`), digest);
    await crane('validate', '--remote', `${name}:v1`);
    const pull = ['copy', '--quiet', '--all', '--src-tls-verify=false'];
    await runProgram('skopeo', [...pull, `docker://${name}:v1`, `dir:${workspace.file('back')}`]);
  });

  test('an immutable tag is pushed once, and clients say why not again', async () => {
    const name = `${server.host}/release/tools`;
    await crane('push', (await toolsImage()).folder, `${name}:v1`);
    await crane('push', (await toolsImage()).folder, `${name}:v1`);
    const changed = ['mutate', '--label', 'a=b', '--tag', `${name}:v1`, `${name}:v1`];
    const refused = await tryProgram(goTool('crane'), changed);
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.stderr, /the tag v1 is immutable and names sha256:/);
    const deleted = await tryProgram('skopeo', ['delete', '--tls-verify=false', `docker://${name}:v1`]);
    assert.notEqual(deleted.exitCode, 0);
    assert.match(deleted.stderr, /immutable/);
    await crane('validate', '--remote', `${name}:v1`);
  });
});
