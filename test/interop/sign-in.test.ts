import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { TestAuthority } from '../support/client-certificates.ts';
import { notePassword } from '../support/secrets/noted.ts';
import { makeCertificates } from '../support/tls.ts';
import { startServer, type RunningServer } from '../support/server.ts';
import { toolsImage, type Fixture } from './support/fixtures.ts';
import { findInLayout } from './support/layout.ts';
import { goTool, runProgram, skipWithout, skipWithoutGoTool, tryProgram } from './support/program.ts';
import { onlyOurs } from './support/registry.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip =
  onlyOurs ||
  (await skipWithout('openssl')) ||
  (await skipWithout('curl')) ||
  (await skipWithout('skopeo')) ||
  (await skipWithoutGoTool('crane')) ||
  (await skipWithoutGoTool('oras')) ||
  (await skipWithoutGoTool('helm'));

const PASSWORD = 'a "secret" of alice: ü';

/** Every client signs in with a password and with an API key, works, and signs out. */
describe('signing in and out with clients', { skip }, () => {
  let workspace: Workspace;
  let server: RunningServer;
  let tools: Fixture;
  let caFile = '';
  let apiKey = '';
  let authority: TestAuthority;
  before(async () => {
    tools = await toolsImage();
    workspace = await makeWorkspace('sign-in');
    const certificates = await makeCertificates(workspace.folder);
    caFile = certificates.caFile;
    authority = await TestAuthority.make(workspace.folder, 'clients');
    notePassword('alice', PASSWORD);
    await writeFile(workspace.file('htpasswd'), `alice:${hashSync(PASSWORD, 5)}\n`);
    const tls = { cert: certificates.certFile, key: certificates.keyFile, cacert: authority.caFile };
    const auth = { htpasswd: { path: workspace.file('htpasswd') }, apikey: true };
    const policies = [{ users: ['alice', 'robot'], actions: ['read', 'create', 'update', 'delete'] }];
    const accessControl = { repositories: { '**': { policies } } };
    server = await startServer({ config: { http: { tls, auth, accessControl } } });
    const made = await curl(
      '--user',
      `alice:${PASSWORD}`,
      '--data',
      '{"label":"interop"}',
      `${server.url}/zot/auth/apikey`,
    );
    apiKey = (JSON.parse(made) as { apiKey: string }).apiKey;
    notePassword('alice', apiKey);
  });
  after(async () => {
    await server.stop();
    await workspace.remove();
  });

  const remote = (name: string): string => `${server.host}/${name}`;

  async function curl(...args: readonly string[]): Promise<string> {
    return (await runProgram('curl', ['--silent', '--show-error', '--cacert', caFile, ...args])).stdout;
  }

  /** Go's clients take the authority and their homes from the environment. */
  function environment(): Record<string, string> {
    const home = workspace.file('home');
    const helm = Object.fromEntries(
      ['CACHE', 'CONFIG', 'DATA'].map((kind) => [`HELM_${kind}_HOME`, `${home}/${kind}`]),
    );
    return { ...helm, HOME: home, DOCKER_CONFIG: `${home}/docker`, SSL_CERT_FILE: caFile };
  }

  async function run(program: string, ...args: readonly string[]): Promise<string> {
    return (await runProgram(program, args, { env: environment(), cwd: workspace.folder })).stdout.trim();
  }

  async function refusal(program: string, ...args: readonly string[]): Promise<string> {
    const outcome = await tryProgram(program, args, { env: environment(), cwd: workspace.folder });
    assert.notEqual(outcome.exitCode, 0, `${program} ${args.join(' ')} succeeded`);
    return outcome.stderr + outcome.stdout;
  }

  const secrets = (): readonly (readonly [string, string])[] => [
    ['password', PASSWORD],
    ['API key', apiKey],
  ];

  test('skopeo', async () => {
    const auth = ['--authfile', workspace.file('skopeo-auth.json')];
    const target = (name: string): string => `docker://${remote(name)}`;
    const source = `oci:${tools.folder}:${tools.tag}`;
    assert.match(
      await refusal('skopeo', 'login', ...auth, '--username', 'alice', '--password', 'wrong', server.host),
      /invalid username|unauthorized|authentication/i,
    );
    for (const [kind, secret] of secrets()) {
      assert.match(
        await refusal('skopeo', 'copy', '--quiet', ...auth, source, target('skopeo/a:1')),
        /unauthorized|authentication required/i,
      );
      await run('skopeo', 'login', ...auth, '--username', 'alice', '--password', secret, server.host);
      await run('skopeo', 'copy', '--quiet', ...auth, source, target('skopeo/a:1'));
      const digest = await run('skopeo', 'inspect', ...auth, '--format', '{{.Digest}}', target('skopeo/a:1'));
      assert.equal(digest, (await findInLayout(tools.folder, tools.tag)).digest, kind);
      await run('skopeo', 'logout', ...auth, server.host);
    }
    assert.match(
      await refusal('skopeo', 'inspect', ...auth, target('skopeo/a:1')),
      /unauthorized|authentication required/i,
    );
  });

  test('oras', async () => {
    const oras = goTool('oras');
    await writeFile(workspace.file('artifact.txt'), 'an artifact');
    for (const [, secret] of secrets()) {
      assert.match(
        await refusal(oras, 'push', remote('oras/a:1'), 'artifact.txt'),
        /unauthorized|credential|401/i,
      );
      await run(oras, 'login', '--username', 'alice', '--password', secret, server.host);
      await run(oras, 'push', remote('oras/a:1'), 'artifact.txt:text/plain');
      await run(oras, 'pull', remote('oras/a:1'), '--output', workspace.file('pulled'));
      assert.equal(await readFile(workspace.file('pulled/artifact.txt'), 'utf8'), 'an artifact');
      assert.match(await run(oras, 'repo', 'tags', remote('oras/a')), /^1$/m);
      await run(oras, 'logout', server.host);
    }
  });

  test('crane', async () => {
    const crane = goTool('crane');
    for (const [, secret] of secrets()) {
      assert.match(await refusal(crane, 'push', tools.folder, remote('crane/a:1')), /UNAUTHORIZED|401/);
      await run(crane, 'auth', 'login', '--username', 'alice', '--password', secret, server.host);
      await run(crane, 'push', tools.folder, remote('crane/a:1'));
      await run(crane, 'copy', remote('crane/a:1'), remote('crane/b:1'));
      assert.match(await run(crane, 'catalog', server.host), /^crane\/b$/m);
      await run(crane, 'delete', remote('crane/b:1'));
      await run(crane, 'auth', 'logout', server.host);
    }
  });

  test('helm', async () => {
    const helm = goTool('helm');
    await run(helm, 'create', 'demo');
    await run(helm, 'package', 'demo', '--version', '0.1.0');
    for (const [, secret] of secrets()) {
      assert.match(
        await refusal(helm, 'push', 'demo-0.1.0.tgz', `oci://${remote('charts')}`),
        /unauthorized|401|credential/i,
      );
      await run(helm, 'registry', 'login', '--username', 'alice', '--password', secret, server.host);
      await run(helm, 'push', 'demo-0.1.0.tgz', `oci://${remote('charts')}`);
      await run(
        helm,
        'pull',
        `oci://${remote('charts')}/demo`,
        '--version',
        '0.1.0',
        '--destination',
        workspace.file('home'),
      );
      await run(helm, 'registry', 'logout', server.host);
    }
  });

  test('skopeo and curl with a client certificate', async () => {
    const robot = await authority.sign({ subject: '/O=Acme/CN=robot' });
    const folder = workspace.file('certificates');
    await mkdir(folder);
    // The names that skopeo and podman look for in a folder of certificates.
    await copyFile(caFile, path.join(folder, 'ca.crt'));
    await copyFile(robot.cert, path.join(folder, 'client.cert'));
    await copyFile(robot.key, path.join(folder, 'client.key'));
    const target = `docker://${remote('certificates/a:1')}`;
    const source = `oci:${tools.folder}:${tools.tag}`;
    await run('skopeo', 'copy', '--quiet', '--dest-cert-dir', folder, source, target);
    await run('skopeo', 'inspect', '--cert-dir', folder, target);
    assert.match(await refusal('skopeo', 'inspect', target), /unauthorized|authentication required/i);
    const manifest = `${server.url}/v2/certificates/a/manifests/1`;
    const status = ['--output', '/dev/null', '--write-out', '%{http_version} %{http_code}'];
    const shown = ['--cert', robot.cert, '--key', robot.key];
    assert.equal(await curl('--http2', ...status, ...shown, manifest), '2 200');
    assert.equal(await curl('--http1.1', ...status, ...shown, manifest), '1.1 200');
    assert.equal(await curl('--http1.1', ...status, manifest), '1.1 401');
    const strangers = await TestAuthority.make(workspace.folder, 'strangers');
    const stranger = await strangers.sign({ subject: '/CN=robot' });
    await assert.rejects(curl('--cert', stranger.cert, '--key', stranger.key, manifest));
  });

  test('no client leaves a secret in our log', () => {
    const log = server.stdout();
    for (const [, secret] of secrets()) {
      assert.ok(!log.includes(secret) && !log.includes(Buffer.from(`alice:${secret}`).toString('base64')));
    }
  });
});
