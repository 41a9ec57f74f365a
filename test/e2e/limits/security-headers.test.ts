import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { makeCertificates } from '../../support/tls.ts';
import { serveRegistry } from '../support/served.ts';

function assertStrict(headers: IncomingHttpHeaders): void {
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['x-frame-options'], 'DENY');
  assert.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'; sandbox");
  assert.equal(headers['referrer-policy'], 'no-referrer');
}

test('every answer tells browsers to run, frame and tell nothing', { timeout: 60_000 }, async () => {
  const served = await serveRegistry({ http: { ratelimit: { rate: 8 } } });
  const asked: [string, string, number][] = [
    ['GET', '/v2/', 200],
    ['GET', '/livez', 200],
    ['GET', '/nothing', 404],
    ['PUT', '/v2/', 405],
    ['OPTIONS', '/v2/', 204],
    ['GET', '/v2//a', 301],
    ['GET', '/v2/a/manifests/b', 404],
  ];
  for (const [method, target, status] of asked) {
    const answer = await served.request(method, target);
    assert.equal(answer.status, status, `${method} ${target}`);
    assertStrict(answer.headers);
    assert.equal(answer.headers['strict-transport-security'], undefined);
  }
  const socket = connect(served.port, '127.0.0.1');
  socket.end('no HTTP at all\r\n\r\n');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  assert.match(bytes.toString(), /content-security-policy: default-src 'none'/i);
  socket.destroy();
  await served.close();
});

test(
  'a server with TLS asks browsers to stay with it, but not on localhost',
  { timeout: 60_000 },
  async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'zot-hsts-'));
    const { certFile: cert, keyFile: key } = await makeCertificates(folder);
    const served = await serveRegistry({ http: { tls: { cert, key } } });
    const ask = async (host: string): Promise<IncomingHttpHeaders> => {
      const sent = request({
        port: served.port,
        host: '127.0.0.1',
        path: '/v2/',
        headers: { host },
        rejectUnauthorized: false,
      });
      sent.end();
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      answer.resume();
      return answer.headers;
    };
    const headers = await ask('registry.example.com');
    assertStrict(headers);
    assert.equal(headers['strict-transport-security'], 'max-age=31536000');
    assert.equal((await ask('localhost:5000'))['strict-transport-security'], undefined);
    await served.close();
    await rm(folder, { recursive: true });
  },
);
