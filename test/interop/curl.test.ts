import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { toolsImage } from './support/fixtures.ts';
import { digestOf, findInLayout, type Descriptor } from './support/layout.ts';
import { runProgram, skipWithout } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { getBlob, getManifest } from './support/served.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The protocol by hand, where a person would use curl: resuming, mounting, cancelling. */
describe('curl', { skip: (await skipWithout('curl')) || (await skipWithout('skopeo')) }, () => {
  let registry: Registry;
  let workspace: Workspace;
  before(async () => {
    registry = await openRegistry();
    workspace = await makeWorkspace('curl');
  });
  after(async () => {
    await registry.stop();
    await workspace.remove();
  });

  async function curl(method: string, url: string, ...args: readonly string[]): Promise<Answer> {
    const files = ['--output', workspace.file('body'), '--dump-header', workspace.file('headers')];
    const target = new URL(url, registry.url).href;
    await writeFile(workspace.file('body'), '');
    const how = method === 'HEAD' ? ['--head'] : ['--request', method];
    const { stdout } = await runProgram('curl', [
      '--silent',
      '--write-out',
      '%{http_code}',
      ...how,
      ...files,
      ...args,
      target,
    ]);
    const headers = new Map<string, string>();
    for (const line of (await readFile(workspace.file('headers'), 'utf8')).split('\r\n')) {
      const colon = line.indexOf(': ');
      if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 2));
    }
    return { status: Number(stdout), headers, body: await readFile(workspace.file('body'), 'utf8') };
  }

  async function startUpload(repository: string): Promise<string> {
    const started = await curl('POST', `/v2/${repository}/blobs/uploads/`);
    assert.equal(started.status, 202);
    return started.headers.get('location') ?? '';
  }

  async function pushBlob(repository: string, bytes: Buffer): Promise<string> {
    await writeFile(workspace.file('upload'), bytes);
    const location = await startUpload(repository);
    const url = withDigest(location, digestOf(bytes));
    assert.equal(
      (await curl('PUT', url, '--data-binary', `@${workspace.file('upload')}`, ...octets)).status,
      201,
    );
    return digestOf(bytes);
  }

  const octets = ['--header', 'Content-Type: application/octet-stream'];

  function withDigest(location: string, digest: string): string {
    const url = new URL(location, registry.url);
    url.searchParams.set('digest', digest);
    return url.href;
  }

  async function pushImage(name: string): Promise<Descriptor> {
    const { folder, tag } = await toolsImage();
    const args = ['copy', '--quiet', '--preserve-digests', '--dest-tls-verify=false'];
    await runProgram('skopeo', [...args, `oci:${folder}:${tag}`, `docker://${registry.host}/${name}`]);
    return await findInLayout(folder, tag);
  }

  test('continues a download where it stopped', async () => {
    const bytes = randomBytes(300_000);
    const digest = await pushBlob('curl/range', bytes);
    await writeFile(workspace.file('partial'), bytes.subarray(0, 123_456));
    const url = `${registry.url}/v2/curl/range/blobs/${digest}`;
    await runProgram('curl', [
      '--silent',
      '--fail',
      '--continue-at',
      '-',
      '--output',
      workspace.file('partial'),
      url,
    ]);
    assert.deepEqual(await readFile(workspace.file('partial')), bytes);
  });

  test('answers a range, a suffix, and a range beyond the end', async () => {
    const digest = await pushBlob('curl/range', Buffer.from('0123456789'));
    const url = `/v2/curl/range/blobs/${digest}`;
    const middle = await curl('GET', url, '--range', '2-4');
    assert.deepEqual(
      [middle.status, middle.body, middle.headers.get('content-range')],
      [206, '234', 'bytes 2-4/10'],
    );
    const suffix = await curl('GET', url, '--range', '-3');
    assert.deepEqual([suffix.status, suffix.body], [206, '789']);
    assert.equal((await curl('GET', url, '--range', '10-')).status, 416);
    const head = await curl('HEAD', url);
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, '10']);
  });

  test('sends an upload in pieces, asks how far it is, and closes it with the last piece', async () => {
    const bytes = randomBytes(5000);
    let location = await startUpload('curl/pieces');
    for (const [from, to] of [
      [0, 1999],
      [2000, 3999],
    ] as const) {
      await writeFile(workspace.file('piece'), bytes.subarray(from, to + 1));
      const range = ['--header', `Content-Range: ${from}-${to}`];
      const sent = await curl(
        'PATCH',
        location,
        '--data-binary',
        `@${workspace.file('piece')}`,
        ...octets,
        ...range,
      );
      assert.equal(sent.status, 202);
      assert.equal(sent.headers.get('range'), `0-${to}`);
      location = sent.headers.get('location') ?? '';
    }
    const asked = await curl('GET', location);
    assert.deepEqual([asked.status, asked.headers.get('range')], [204, '0-3999']);
    await writeFile(workspace.file('piece'), bytes.subarray(4000));
    const url = withDigest(asked.headers.get('location') ?? location, digestOf(bytes));
    const closed = await curl(
      'PUT',
      url,
      '--data-binary',
      `@${workspace.file('piece')}`,
      ...octets,
      '--header',
      'Content-Range: 4000-4999',
    );
    assert.equal(closed.status, 201);
    assert.deepEqual(await getBlob(registry, 'curl/pieces', digestOf(bytes)), bytes);
  });

  test('refuses a piece out of order and goes on with the right one', async () => {
    const bytes = randomBytes(2000);
    const location = await startUpload('curl/order');
    await writeFile(workspace.file('piece'), bytes.subarray(1000));
    const wrong = [
      '--data-binary',
      `@${workspace.file('piece')}`,
      ...octets,
      '--header',
      'Content-Range: 1000-1999',
    ];
    assert.equal((await curl('PATCH', location, ...wrong)).status, 416);
    await writeFile(workspace.file('upload'), bytes);
    const url = withDigest(location, digestOf(bytes));
    assert.equal(
      (await curl('PUT', url, '--data-binary', `@${workspace.file('upload')}`, ...octets)).status,
      201,
    );
  });

  test('resumes an upload whose connection broke', { skip: onlyOurs }, async () => {
    const bytes = randomBytes(4_000_000);
    const location = new URL(await startUpload('curl/broken'), registry.url);
    await sendAndBreak(location, bytes.subarray(0, 1_500_000), bytes.byteLength);
    let keptBytes = 0;
    let next = location.href;
    await eventually(
      async () => {
        const asked = await curl('GET', location.href);
        assert.equal(asked.status, 204);
        next = asked.headers.get('location') ?? location.href;
        keptBytes = Number(asked.headers.get('range')?.split('-')[1] ?? -1) + 1;
        return keptBytes === 1_500_000;
      },
      10_000,
      'what arrived before the break is kept',
    );
    await writeFile(workspace.file('rest'), bytes.subarray(keptBytes));
    const range = ['--header', `Content-Range: ${keptBytes}-${bytes.byteLength - 1}`];
    const url = withDigest(next, digestOf(bytes));
    assert.equal(
      (await curl('PUT', url, '--data-binary', `@${workspace.file('rest')}`, ...octets, ...range)).status,
      201,
    );
    assert.deepEqual(await getBlob(registry, 'curl/broken', digestOf(bytes)), bytes);
  });

  test('mounts a blob from another repository, and gets an upload when there is no such blob', async () => {
    const digest = await pushBlob('curl/from', randomBytes(1000));
    const mounted = await curl('POST', `/v2/curl/to/blobs/uploads/?mount=${digest}&from=curl/from`);
    assert.equal(mounted.status, 201);
    assert.equal((await curl('HEAD', `/v2/curl/to/blobs/${digest}`)).status, 200);
    const missing = digestOf(Buffer.from('never uploaded'));
    const upload = await curl('POST', `/v2/curl/to/blobs/uploads/?mount=${missing}&from=curl/from`);
    assert.equal(upload.status, 202);
    assert.ok(upload.headers.has('location'));
  });

  test('mounts without naming the source', { skip: onlyOurs }, async () => {
    const digest = await pushBlob('curl/from', randomBytes(1000));
    assert.equal((await curl('POST', `/v2/curl/anonymous/blobs/uploads/?mount=${digest}`)).status, 201);
    assert.equal((await curl('HEAD', `/v2/curl/anonymous/blobs/${digest}`)).status, 200);
  });

  test('cancels an upload', async () => {
    const location = await startUpload('curl/cancel');
    assert.equal((await curl('DELETE', location)).status, 204);
    assert.equal((await curl('GET', location)).status, 404);
  });

  test('refuses an upload whose digest is wrong, with the code of the specification', async () => {
    await writeFile(workspace.file('upload'), 'other bytes');
    const url = withDigest(await startUpload('curl/wrong'), digestOf(Buffer.from('these bytes')));
    const answer = await curl('PUT', url, '--data-binary', `@${workspace.file('upload')}`, ...octets);
    assert.equal(answer.status, 400);
    assert.match(answer.body, /"code":"DIGEST_INVALID"/);
  });

  test('is told that nothing changed (If-None-Match)', { skip: onlyOurs }, async () => {
    const image = await pushImage('curl/etag:1');
    const url = '/v2/curl/etag/manifests/1';
    const first = await curl('GET', url);
    assert.equal(first.headers.get('docker-content-digest'), image.digest);
    const again = await curl('GET', url, '--header', `If-None-Match: ${first.headers.get('etag')}`);
    assert.deepEqual([again.status, again.body], [304, '']);
  });

  test('gets the error body of the specification for what does not exist', async () => {
    await pushImage('curl/errors:1');
    assert.equal(await getManifest(registry, 'curl/errors', 'nothing'), null);
    for (const [url, code] of [
      ['/v2/curl/errors/manifests/nothing', 'MANIFEST_UNKNOWN'],
      [`/v2/curl/errors/blobs/${digestOf(Buffer.from('nothing'))}`, 'BLOB_UNKNOWN'],
      ['/v2/curl/nowhere/tags/list', 'NAME_UNKNOWN'],
    ] as const) {
      const answer = await curl('GET', url);
      assert.equal(answer.status, 404);
      const body: unknown = JSON.parse(answer.body);
      assert.ok(typeof body === 'object' && body !== null && 'errors' in body && Array.isArray(body.errors));
      assert.equal(Reflect.get(Object(body.errors[0]), 'code'), code);
    }
  });
});

/** Sends the beginning of a body and drops the connection, as a client does that loses its network. */
async function sendAndBreak(url: URL, beginning: Buffer, announcedBytes: number): Promise<void> {
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(announcedBytes) };
  const sending = request(url, { method: 'PATCH', headers });
  sending.on('error', () => sending.destroy());
  const closed = new Promise<void>((resolve) => sending.once('close', () => resolve()));
  await new Promise<void>((resolve) => sending.write(beginning, () => resolve()));
  sending.destroy();
  await closed;
}
