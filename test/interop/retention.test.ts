/** Retention of what real clients push and pull, by tag and by digest, through two serving processes. */
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { runZot } from '../support/run-zot.ts';
import { startServer, type RunningServer } from '../support/server.ts';
import { eventually } from '../support/eventually.ts';
import { toolsImage } from './support/fixtures.ts';
import { goTool, runProgram, skipWithout, skipWithoutGoTool } from './support/program.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

async function crane(...args: readonly string[]): Promise<string> {
  return (await runProgram(goTool('crane'), args)).stdout.trim();
}

const skip = (await skipWithoutGoTool('crane')) || (await skipWithout('skopeo'));

describe('retention with real clients', { skip, timeout: 120_000 }, () => {
  let server: RunningServer;
  let workspace: Workspace;
  before(async () => {
    server = await startServer({ config: { http: { workers: 2 } } });
    workspace = await makeWorkspace('retention');
  });
  after(async () => {
    await server.stop();
    await workspace.remove();
  });

  /** Tags with how often they were pulled, as the policies of a file judge them. */
  async function pullsBy(config: string): Promise<Record<string, number>> {
    const { exitCode, text, errors } = await runZot('retention', 'preview', config, '--all', '--json');
    assert.equal(exitCode, 0, errors);
    const { repositories } = JSON.parse(text) as {
      repositories: { tags: { tag: string; pulls: number }[] }[];
    };
    return Object.fromEntries(repositories.flatMap(({ tags }) => tags).map(({ tag, pulls }) => [tag, pulls]));
  }

  test('keeps what crane and skopeo pulled, by tag and by digest, and removes the rest', async () => {
    const name = `${server.host}/team/app`;
    await crane('push', (await toolsImage()).folder, `${name}:base`);
    for (const tag of ['v1', 'v2', 'v3', 'v4'])
      await crane('mutate', '--label', `version=${tag}`, '--tag', `${name}:${tag}`, `${name}:base`);
    const digest = await crane('digest', `${name}:v1`);
    await runProgram('skopeo', [
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      `docker://${name}@${digest}`,
      `dir:${workspace.file('by-digest')}`,
    ]);
    await crane('pull', `${name}:v3`, workspace.file('v3.tar'));

    const config = JSON.parse(await readFile(server.configFile, 'utf8')) as { storage: object };
    const keepTags = [{ patterns: ['^v'], mostRecentlyPulledCount: 2 }];
    const retention = { policies: [{ repositories: ['team/**'], keepTags }] };
    const next = `${server.configFile}.next.json`;
    await writeFile(next, JSON.stringify({ ...config, storage: { ...config.storage, retention } }));
    const isCounted = async (): Promise<boolean> => {
      const pulls = await pullsBy(next);
      return (pulls['v1'] ?? 0) > 0 && (pulls['v3'] ?? 0) > 0;
    };
    await eventually(isCounted, 20_000, 'both pulls are counted');
    await rename(next, server.configFile);
    const isLeft = async (): Promise<boolean> => (await crane('ls', name)) === 'v1\nv3';
    await eventually(isLeft, 20_000, 'only what was pulled is left');
    await crane('validate', '--remote', `${name}:v1`);
    const listed = await runProgram('skopeo', ['list-tags', '--tls-verify=false', `docker://${name}`]);
    assert.deepEqual((JSON.parse(listed.stdout) as { Tags: string[] }).Tags, ['v1', 'v3']);
  });
});
