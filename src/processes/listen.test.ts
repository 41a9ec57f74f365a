import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { StartError } from '#lib/start-error';
import { claimPort, listenAddress, urlOf } from './listen.ts';

test('an address is a host and port, an IPv6 host in brackets, or the path of a socket', () => {
  assert.deepEqual(listenAddress('127.0.0.1', 5000), { host: '127.0.0.1', port: 5000 });
  assert.deepEqual(listenAddress('[::1]', 5000), { host: '::1', port: 5000 });
  assert.deepEqual(listenAddress('::', 0), { host: '::', port: 0 });
  assert.deepEqual(listenAddress('unix:/run/zot.sock', 5000), { path: '/run/zot.sock' });
});

test('a URL has IPv6 addresses in brackets', () => {
  assert.equal(urlOf({ address: '::1', family: 'IPv6', port: 5 }, true), 'https://[::1]:5');
  assert.equal(urlOf({ address: '10.0.0.1', family: 'IPv4', port: 5 }, false), 'http://10.0.0.1:5');
});

test('a port is claimed and free again; port 0 becomes a real one', async () => {
  const port = await claimPort({ host: '127.0.0.1', port: 0 });
  assert.ok(port > 0);
  assert.equal(await claimPort({ host: '127.0.0.1', port }), port);
});

test('a port in use, and an address that is none of ours, say so in one line', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  const isStartError = (text: RegExp) => (error: unknown) =>
    error instanceof StartError && text.test(error.message);
  await assert.rejects(
    claimPort({ host: '127.0.0.1', port }),
    isStartError(/^127\.0\.0\.1:\d+ is in use[^\n]*$/),
  );
  await assert.rejects(
    claimPort({ host: '192.0.2.1', port: 0 }),
    isStartError(/^192\.0\.2\.1:0 is no address/),
  );
  await new Promise((resolve) => holder.close(resolve));
});
