import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeCertificates } from '../support/tls.ts';
import { startServer, type RunningServer } from '../support/server.ts';
import { debianImage, helloIndex, toolsImage, type Fixture } from './support/fixtures.ts';
import { digestOf, findInLayout } from './support/layout.ts';
import { assertInLayout } from './support/served.ts';
import { goTool, runProgram, skipWithout, skipWithoutGoTool } from './support/program.ts';
import { onlyOurs } from './support/registry.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip =
  onlyOurs ||
  (await skipWithout('openssl')) ||
  (await skipWithout('curl')) ||
  (await skipWithoutGoTool('crane'));

/** Go clients speak HTTP/2 where the server offers it, so these are uploads through its flow control. */
describe('HTTPS with HTTP/2', { skip }, () => {
  let workspace: Workspace;
  let server: RunningServer;
  let caFile = '';
  before(async () => {
    workspace = await makeWorkspace('https');
    const certificates = await makeCertificates(workspace.folder);
    caFile = certificates.caFile;
    const tls = { cert: certificates.certFile, key: certificates.keyFile };
    server = await startServer({ config: { http: { tls } } });
  });
  after(async () => {
    await server.stop();
    await workspace.remove();
  });

  const remote = (name: string): string => `${server.host}/${name}`;

  async function trusting(tool: 'crane' | 'oras' | 'regctl', ...args: readonly string[]): Promise<string> {
    const env = { SSL_CERT_FILE: caFile, REGCTL_CONFIG: workspace.file('regctl.json') };
    return (await runProgram(goTool(tool), args, { env, cwd: workspace.folder })).stdout.trim();
  }

  async function curl(...args: readonly string[]): Promise<string> {
    return (await runProgram('curl', ['--silent', '--show-error', '--cacert', caFile, ...args])).stdout;
  }

  const ociName = (fixture: Fixture): string => `${fixture.folder}:${fixture.tag}`;

  test('curl uploads and downloads over HTTP/2', async () => {
    const bytes = randomBytes(30_000_000);
    await writeFile(workspace.file('blob'), bytes);
    const url = `${server.url}/v2/https/curl/blobs/uploads/?digest=${digestOf(bytes)}`;
    const how = ['--http2', '--output', '/dev/null', '--write-out', '%{http_version} %{http_code}'];
    const body = [
      '--data-binary',
      `@${workspace.file('blob')}`,
      '--header',
      'Content-Type: application/octet-stream',
    ];
    assert.equal(await curl('--request', 'POST', ...how, ...body, url), '2 201');
    const target = [
      '--output',
      workspace.file('downloaded'),
      `${server.url}/v2/https/curl/blobs/${digestOf(bytes)}`,
    ];
    await curl('--http2', '--fail', ...target);
    assert.deepEqual(await readFile(workspace.file('downloaded')), bytes);
    const old = ['--http1.1', '--output', '/dev/null', '--write-out', '%{http_version} %{http_code}'];
    assert.equal(await curl(...old, `${server.url}/v2/`), '1.1 200');
  });

  test('crane pushes and pulls a Debian root file system', async () => {
    const debian = await debianImage();
    await trusting('crane', 'push', debian.folder, remote('https/debian:1'));
    await trusting('crane', 'pull', '--format', 'oci', remote('https/debian:1'), workspace.file('debian'));
    await assertInLayout(workspace.file('debian'), await findInLayout(debian.folder, debian.tag));
  });

  test('oras and regctl copy an index with all its images', async () => {
    const hello = await helloIndex();
    const index = await findInLayout(hello.folder, hello.tag);
    await trusting('oras', 'cp', '--from-oci-layout', ociName(hello), remote('https/hello:v1'));
    await trusting(
      'regctl',
      'image',
      'copy',
      remote('https/hello:v1'),
      `ocidir://${workspace.file('hello')}:v1`,
    );
    assert.equal(await assertInLayout(workspace.file('hello'), index), 10);
  });

  test('skopeo trusts the authority of a folder of certificates', async () => {
    const tools = await toolsImage();
    const folder = workspace.file('certificates');
    await mkdir(folder);
    await writeFile(path.join(folder, 'ca.crt'), await readFile(caFile));
    const target = `docker://${remote('https/skopeo:1')}`;
    await runProgram('skopeo', [
      'copy',
      '--quiet',
      '--dest-cert-dir',
      folder,
      `oci:${ociName(tools)}`,
      target,
    ]);
    const inspected = await runProgram('skopeo', [
      'inspect',
      '--cert-dir',
      folder,
      '--format',
      '{{.Digest}}',
      target,
    ]);
    assert.equal(inspected.stdout.trim(), (await findInLayout(tools.folder, tools.tag)).digest);
  });

  test('a client that does not trust the authority is refused by itself, and the server goes on', async () => {
    await assert.rejects(
      runProgram('curl', ['--silent', '--show-error', `${server.url}/v2/`]),
      /certificate/,
    );
    assert.equal(
      await curl(`${server.url}/v2/`, '--output', '/dev/null', '--write-out', '%{http_code}'),
      '200',
    );
  });
});
