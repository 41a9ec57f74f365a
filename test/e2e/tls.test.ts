import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { ClientHttp2Stream } from 'node:http2';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { makeCertificates } from '../support/tls.ts';
import { contentOf, digestOf, imageOf, OCI_MANIFEST } from './support/content.ts';
import { openSession, requestOn, requestSecurely, shakeHands } from './support/secure.ts';
import { serveRegistry, type Served } from './support/served.ts';

const IDLE_MS = 400;
let folder = '';
let served: Served;
let ca: Buffer;
let tls: { cert: string; key: string };
const big = contentOf(Buffer.alloc(24 * 1024 * 1024, 5), 'application/octet-stream');

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'zot-tls-'));
  const { caFile, certFile, keyFile } = await makeCertificates(folder);
  ca = await readFile(caFile);
  tls = { cert: certFile, key: keyFile };
  served = await serveRegistry({ http: { tls, idleTimeout: `${IDLE_MS}ms` } });
});
after(async () => {
  await served.close();
  await rm(folder, { recursive: true });
});

test('HTTP/1.1 and HTTP/2 are spoken, by the choice of the client', async () => {
  const first = await requestSecurely(served.port, ca, 'GET', '/v2/');
  assert.equal(first.status, 200);
  const chosen = await shakeHands(served.port, { ca, ALPNProtocols: ['h2', 'http/1.1'] });
  assert.equal(chosen.alpnProtocol, 'h2');
  chosen.destroy();
});

test('TLS 1.1 and weak ciphers of TLS 1.2 are refused, TLS 1.2 and 1.3 are spoken', async () => {
  const legacy = { ca, ciphers: 'ALL:@SECLEVEL=0' };
  await assert.rejects(shakeHands(served.port, { ...legacy, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }));
  const weak = {
    ca,
    maxVersion: 'TLSv1.2',
    ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384',
  } as const;
  await assert.rejects(shakeHands(served.port, weak));
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await shakeHands(served.port, { ca, minVersion: version, maxVersion: version });
    assert.equal(socket.getProtocol(), version);
    socket.destroy();
  }
});

test('plain HTTP on the port of TLS harms nobody', async () => {
  await assert.rejects(served.request('GET', '/v2/'));
  assert.equal((await requestSecurely(served.port, ca, 'GET', '/v2/')).status, 200);
});

test('a push and pull over one session of HTTP/2', async () => {
  const session = await openSession(served.url, ca);
  const image = imageOf('h2');
  for (const { digest, bytes } of [image.config, ...image.layers, big]) {
    const target = `/v2/h2/blobs/uploads/?digest=${digest}`;
    const answer = await requestOn(session, { ':method': 'POST', ':path': target }, bytes);
    assert.equal(answer.status, 201, answer.text);
  }
  const headers = { ':method': 'PUT', ':path': '/v2/h2/manifests/v1', 'content-type': OCI_MANIFEST };
  assert.equal((await requestOn(session, headers, image.manifest.bytes)).status, 201);
  const start = await requestOn(session, { ':method': 'POST', ':path': '/v2/h2/blobs/uploads/' });
  const place = String(start.headers.location);
  const patch = await requestOn(session, { ':method': 'PATCH', ':path': place }, big.bytes);
  assert.equal(patch.headers.range, `0-${big.bytes.length - 1}`);
  const put = await requestOn(session, { ':method': 'PUT', ':path': `${place}?digest=${big.digest}` });
  assert.equal(put.status, 201, put.text);
  const pulls = await Promise.all(
    Array.from({ length: 3 }, () =>
      requestOn(session, {
        ':method': 'GET',
        ':path': `/v2/h2/blobs/${big.digest}`,
        range: 'bytes=5-9999999',
      }),
    ),
  );
  for (const pull of pulls) assert.deepEqual([pull.status, pull.text.length], [206, 9_999_995]);
  const missing = await requestOn(session, { ':method': 'HEAD', ':path': '/v2/h2/manifests/none' });
  assert.deepEqual([missing.status, missing.text], [404, '']);
  session.close();
});

test('Expect: 100-continue over HTTP/2: refusals come before the body, wanted ones are asked for', async () => {
  const session = await openSession(served.url, ca);
  const expect = { expect: '100-continue', 'content-length': '5' };
  const target = `/v2/h2/blobs/uploads/?digest=${digestOf('hello')}`;
  const refused = session.request(
    { ':method': 'PUT', ':path': '/v2/h2/manifests/v2', ...expect },
    { endStream: false },
  );
  refused.on('continue', () => assert.fail('the body is not wanted'));
  assert.equal(await statusOf(refused), 415);
  refused.close();
  const wanted = session.request({ ':method': 'POST', ':path': target, ...expect }, { endStream: false });
  wanted.once('continue', () => wanted.end('hello'));
  assert.equal(await statusOf(wanted), 201);
  session.close();
});

test('headers of HTTP/2 beyond the limit end the stream or the session, and nobody else', async () => {
  const session = await openSession(served.url, ca);
  const stream = session.request({ ':method': 'GET', ':path': '/v2/', 'x-large': 'x'.repeat(200_000) });
  const ended = new Promise((resolve) => stream.once('close', resolve));
  const status = statusOf(stream).catch(() => 431);
  await ended;
  assert.equal(await status, 431);
  session.destroy();
  assert.equal((await requestSecurely(served.port, ca, 'GET', '/v2/')).status, 200);
});

test('a stream of HTTP/2 that stalls is answered 408, and the session goes on', async () => {
  const session = await openSession(served.url, ca);
  const start = await requestOn(session, { ':method': 'POST', ':path': '/v2/h2/blobs/uploads/' });
  const place = String(start.headers.location);
  const stream = session.request({ ':method': 'PATCH', ':path': place }, { endStream: false });
  stream.write(Buffer.alloc(5000));
  assert.equal(await statusOf(stream), 408);
  stream.destroy();
  const progress = await requestOn(session, { ':method': 'GET', ':path': place });
  assert.equal(progress.headers.range, '0-4999');
  session.close();
});

test('a stream of HTTP/2 whose client leaves keeps what arrived', async () => {
  const session = await openSession(served.url, ca);
  const start = await requestOn(session, { ':method': 'POST', ':path': '/v2/h2/blobs/uploads/' });
  const place = String(start.headers.location);
  const stream = session.request({ ':method': 'PATCH', ':path': place }, { endStream: false });
  stream.write(Buffer.alloc(7000));
  // Answered on the same session only after what was sent before it.
  await requestOn(session, { ':method': 'GET', ':path': '/v2/' });
  stream.close(8);
  await served.accessLines(place, 1);
  const progress = await requestOn(session, { ':method': 'GET', ':path': place });
  assert.equal(progress.headers.range, '0-6999');
  session.close();
});

test('a download over HTTP/2 that nobody reads is cut off, and the session goes on', async () => {
  const session = await openSession(served.url, ca);
  const target = `/v2/h2/blobs/${big.digest}?unread`;
  const stream = session.request({ ':method': 'GET', ':path': target });
  stream.pause();
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.on('error', () => undefined);
  const [line] = await served.accessLines(target);
  assert.equal(line?.statusCode, 200);
  stream.destroy();
  await closed;
  assert.equal((await requestOn(session, { ':method': 'GET', ':path': '/v2/' })).status, 200);
  session.close();
});

test('a download over HTTP/1.1 and TLS that nobody reads ends', async () => {
  const target = `/v2/h2/blobs/${big.digest}?unread1`;
  const socket = await shakeHands(served.port, { ca, ALPNProtocols: ['http/1.1'] });
  socket.pause();
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const [line] = await served.accessLines(target);
  assert.ok(Number(line?.bodySize) < big.bytes.length);
  socket.destroy();
});

test(
  'a certificate that is replaced is shown to new connections; a broken pair leaves the old ' +
    'one in force',
  async () => {
    const shown = async (): Promise<string> => {
      const socket = await shakeHands(served.port, { rejectUnauthorized: false });
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const old = await shown();
    const second = await mkdtemp(path.join(folder, 'second-'));
    const { certFile, keyFile } = await makeCertificates(second);
    const wanted = new X509Certificate(await readFile(certFile)).fingerprint256;
    await writeFile(tls.cert, 'no certificate');
    await waitForProblem(1);
    assert.equal(await shown(), old);
    // The new certificate without its key is a pair that does not fit.
    await copyFile(certFile, tls.cert);
    await waitForProblem(2);
    assert.equal(await shown(), old);
    await copyFile(keyFile, tls.key);
    const deadlineMs = performance.now() + 20_000;
    while ((await shown()) !== wanted)
      assert.ok(performance.now() < deadlineMs, 'the certificate is not taken over');
  },
);

function statusOf(stream: ClientHttp2Stream): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  stream.once('response', (headers) => resolve(Number(headers[':status'])));
  stream.once('error', reject);
  stream.once('close', () => reject(new Error('closed without an answer')));
  return promise;
}

async function waitForProblem(count: number): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const lines = await served.logLines();
    if (lines.filter(({ component, level }) => component === 'tls' && level === 'error').length >= count)
      return;
    assert.ok(performance.now() < deadlineMs, 'the problem is not reported');
    await requestSecurely(served.port, ca, 'GET', '/v2/');
  }
}

test('a stop ends connections of both protocols, idle and in the middle of something', async () => {
  const other = await serveRegistry({ http: { tls } });
  const certificate = { rejectUnauthorized: false };
  const idle = await shakeHands(other.port, { ...certificate, ALPNProtocols: ['h2'] });
  const half = await shakeHands(other.port, { ...certificate, ALPNProtocols: ['http/1.1'] });
  half.write('POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123');
  const ends = [idle, half].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  for (const socket of [idle, half]) socket.on('error', () => undefined).resume();
  await other.close();
  await Promise.all(ends);
});
