import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { signingKey } from '../e2e/access/token-server.ts';
import { passwordFile } from '../e2e/access/sign-in.ts';
import type { PasswordFile } from '../e2e/access/sign-in.ts';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { toolsImage } from './support/fixtures.ts';
import type { Fixture } from './support/fixtures.ts';
import { assertInLayout } from './support/served.ts';
import { findInLayout } from './support/layout.ts';
import { goTool, runProgram, skipWithout, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { startTokenServer } from './support/token-server.ts';
import type { TokenServer } from './support/token-server.ts';
import { onlyOurs } from './support/registry.ts';
import { makeWorkspace } from './support/workspace.ts';
import type { Workspace } from './support/workspace.ts';

const USER = { name: 'alice', password: 'wonder:land' };

const withoutSkopeo = await skipWithout('skopeo');
const withoutOras = await skipWithoutGoTool('oras');
const withoutCrane = await skipWithoutGoTool('crane');

/** What each client does with tokens, whoever gives them out. */
function clientTests(at: () => { registry: RunningServer; workspace: Workspace; tools: Fixture }): void {
  const copy = (...args: string[]): Promise<unknown> =>
    runProgram('skopeo', ['copy', '--quiet', '--preserve-digests', ...args]);

  test('skopeo pushes, copies inside the registry, and pulls', { skip: withoutSkopeo }, async () => {
    const { registry, workspace, tools } = at();
    const login = `${USER.name}:${USER.password}`;
    const remote = (name: string): string => `docker://${registry.host}/${name}`;
    const there = ['--dest-tls-verify=false', '--dest-creds', login];
    const back = ['--src-tls-verify=false', '--src-creds', login];
    await copy(...there, `oci:${tools.folder}:${tools.tag}`, remote('team/skopeo:1'));
    await copy(...back, ...there, remote('team/skopeo:1'), remote('team/other/skopeo:1'));
    await copy(...back, remote('team/other/skopeo:1'), `oci:${workspace.file('skopeo')}:1`);
    const image = await findInLayout(tools.folder, tools.tag);
    assert.equal((await findInLayout(workspace.file('skopeo'), '1')).digest, image.digest);
    await assertInLayout(workspace.file('skopeo'), image);
    const wrong = await tryProgram('skopeo', [
      'inspect',
      '--tls-verify=false',
      '--creds',
      `${USER.name}:wrong`,
      remote('team/skopeo:1'),
    ]);
    assert.notEqual(wrong.exitCode, 0);
  });

  test('oras signs in, pushes, lists, pulls and signs out', { skip: withoutOras }, async () => {
    const { registry, workspace } = at();
    const config = ['--registry-config', workspace.file('oras.json')];
    const oras = (...args: string[]): Promise<unknown> =>
      runProgram(goTool('oras'), [...args, ...config, '--plain-http'], { cwd: workspace.folder });
    await writeFile(workspace.file('note.txt'), 'a note');
    await oras('login', registry.host, '--username', USER.name, '--password', USER.password);
    await oras('push', `${registry.host}/team/oras:1`, 'note.txt:text/plain');
    await oras('repo', 'tags', `${registry.host}/team/oras`);
    await mkdir(workspace.file('pulled'), { recursive: true });
    await oras('pull', `${registry.host}/team/oras:1`, '--output', workspace.file('pulled'));
    await runProgram(goTool('oras'), ['logout', registry.host, ...config]);
    const out = await tryProgram(goTool('oras'), [
      'repo',
      'tags',
      `${registry.host}/team/oras`,
      '--plain-http',
      ...config,
    ]);
    assert.notEqual(out.exitCode, 0);
  });

  test('crane signs in, pushes, copies by mounting, lists and pulls', { skip: withoutCrane }, async () => {
    const { registry, workspace, tools } = at();
    const env = { DOCKER_CONFIG: workspace.folder };
    const crane = async (...args: string[]): Promise<string> =>
      (await runProgram(goTool('crane'), args, { env })).stdout.trim();
    await crane('auth', 'login', registry.host, '--username', USER.name, '--password', USER.password);
    await crane('push', tools.folder, `${registry.host}/team/crane:1`);
    await crane('copy', `${registry.host}/team/crane:1`, `${registry.host}/team/mounted:1`);
    assert.match(await crane('catalog', registry.host), /team\/mounted/);
    await crane('validate', '--remote', `${registry.host}/team/mounted:1`);
  });
}

describe('clients at our own token endpoint', { skip: onlyOurs }, () => {
  let registry: RunningServer;
  let workspace: Workspace;
  let file: PasswordFile;
  let tools: Fixture;
  before(async () => {
    tools = await toolsImage();
    workspace = await makeWorkspace('own-tokens');
    file = await passwordFile({ [USER.name]: USER.password });
    const policies = [{ users: [USER.name], actions: ['read', 'create', 'update'] }];
    registry = await startServer({
      config: {
        http: {
          workers: 2,
          auth: { htpasswd: { path: file.path }, token: { enable: true } },
          accessControl: { repositories: { 'team/**': { policies } } },
        },
      },
    });
  });
  after(async () => {
    assert.equal(await registry.stop(), 0);
    await workspace.remove();
    await file.remove();
  });

  clientTests(() => ({ registry, workspace, tools }));

  test('they came for tokens, and used them with both processes', () => {
    const lines = registry.stdout().split('\n');
    assert.ok(lines.some((line) => line.includes('/zot/auth/token') && line.includes('"statusCode":200')));
    const processes = new Set(lines.map((line) => /"process":"([^"]+)"/.exec(line)?.[1]));
    assert.ok(processes.size > 1);
  });
});

describe('clients at a token server', { skip: onlyOurs }, () => {
  let registry: RunningServer;
  let server: TokenServer;
  let workspace: Workspace;
  let tools: Fixture;
  before(async () => {
    tools = await toolsImage();
    workspace = await makeWorkspace('token-server');
    const key = signingKey('ES256');
    await writeFile(workspace.file('key.pem'), key.publicPem);
    server = await startTokenServer(key, USER);
    const bearer = { realm: server.realm, service: 'registry of a test', cert: workspace.file('key.pem') };
    registry = await startServer({ config: { http: { auth: { bearer } } } });
  });
  after(async () => {
    assert.equal(await registry.stop(), 0);
    await server.close();
    await workspace.remove();
  });

  // By name, as the realm: some clients follow no realm from one host to another private one.
  const named = (): RunningServer => ({ ...registry, host: `localhost:${registry.port}` });
  clientTests(() => ({ registry: named(), workspace, tools }));

  test('they asked for what the challenges named', () => {
    assert.ok(server.asked.some((scope) => scope.includes('repository:team/skopeo:')));
    assert.ok(server.asked.some((scope) => scope.includes('registry:catalog:*')));
    assert.ok(server.asked.some((scope) => /repository:team\/oras:\S*push/.test(scope)));
  });
});
