import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SecureContextOptions } from 'node:tls';
import { findProgram } from '../../../tools/debian-tools.ts';
import { TestAuthority } from '../../support/client-certificates.ts';
import type { CertificateFiles } from '../../support/client-certificates.ts';
import { makeCertificates } from '../../support/tls.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { eventually } from '../../support/eventually.ts';
import { basic, passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';

const skip = (await findProgram('openssl')) === null ? 'openssl is not installed' : false;

const policies = {
  'of-alice/**': { policies: [{ users: ['alice'], actions: ['read', 'create'] }] },
  'of-all/**': { anonymousPolicy: ['read'], defaultPolicy: ['read'] },
};

describe('client certificates', { skip, timeout: 120_000 }, () => {
  let folder = '';
  let server: Awaited<ReturnType<typeof makeCertificates>>;
  let authority: TestAuthority;
  let foreign: TestAuthority;
  let alice: CertificateFiles;
  let bob: CertificateFiles;
  let passwords: PasswordFile;
  let served: Served;
  let caFile = '';
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'zot-client-certificates-'));
    server = await makeCertificates(folder);
    authority = await TestAuthority.make(folder, 'ours');
    foreign = await TestAuthority.make(folder, 'foreign');
    alice = await authority.sign({ subject: '/O=Acme/CN=alice' });
    bob = await authority.sign({ subject: '/O=Acme/CN=bob' });
    passwords = await passwordFile({ carol: 'secret-of-hers' });
    caFile = path.join(folder, 'clients.crt');
    await copyFile(authority.caFile, caFile);
    served = await open({});
  });
  after(async () => {
    await served.close();
    await passwords.remove();
    await rm(folder, { recursive: true });
  });

  function open(tls: Record<string, unknown>): Promise<Served> {
    return serveRegistry({
      http: {
        tls: { cert: server.certFile, key: server.keyFile, cacert: caFile, ...tls },
        auth: { htpasswd: { path: passwords.path } },
        accessControl: { repositories: policies },
      },
    });
  }

  async function material(files: CertificateFiles | null): Promise<SecureContextOptions> {
    const ca = await readFile(server.caFile);
    return files === null ? { ca } : { ca, cert: await readFile(files.cert), key: await readFile(files.key) };
  }

  async function ask(
    files: CertificateFiles | null,
    target: string,
    options: { method?: string; headers?: Record<string, string>; agent?: Agent; port?: number } = {},
  ): Promise<number> {
    const { method = 'GET', headers = {}, agent, port = served.port } = options;
    const tls = await material(files);
    return new Promise((resolve, reject) => {
      const place = { host: '127.0.0.1', port, path: target, method, headers };
      const sent = request(
        { ...place, ...tls, ...(agent === undefined ? { agent: false } : { agent }) },
        (answer) => {
          answer.resume();
          answer.on('end', () => resolve(answer.statusCode ?? 0));
        },
      );
      sent.setTimeout(10_000, () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
      sent.end();
    });
  }

  async function askHttp2(files: CertificateFiles | null, target: string, method = 'GET'): Promise<number> {
    const session = connectHttp2(`https://127.0.0.1:${served.port}`, await material(files));
    try {
      return await new Promise((resolve, reject) => {
        session.setTimeout(10_000, () => reject(new Error('no answer')));
        session.on('error', reject);
        session.on('close', () => reject(new Error('the server closed the connection')));
        const stream = session.request({ ':path': target, ':method': method });
        stream.on('response', (headers) => resolve(Number(headers[':status'])));
        stream.on('error', reject);
        stream.resume();
        stream.end();
      });
    } finally {
      session.destroy();
    }
  }

  const UPLOAD = '/v2/of-alice/app/blobs/uploads/';

  test('sign their user in, over HTTP/1.1 and HTTP/2', async () => {
    for (const send of [
      ask,
      (files: CertificateFiles, target: string, { method }: { method: string }) =>
        askHttp2(files, target, method),
    ]) {
      assert.equal(await send(alice, UPLOAD, { method: 'POST' }), 202);
      assert.equal(await send(bob, UPLOAD, { method: 'POST' }), 403);
    }
    assert.equal(await askHttp2(null, '/v2/of-all/app/tags/list'), 404);
  });

  test('are not needed: without one the rules for nobody hold', async () => {
    assert.equal(await ask(null, '/v2/of-all/app/tags/list'), 404, 'readable, and not there');
    assert.equal(await ask(null, UPLOAD, { method: 'POST' }), 401);
  });

  test('of another authority or another time end the connection, as in zot', async () => {
    const strangers = [
      await foreign.sign({ subject: '/CN=alice' }),
      await authority.sign({ subject: '/CN=alice', expired: true }),
    ];
    for (const stranger of strangers) {
      await assert.rejects(ask(stranger, '/v2/of-all/app/tags/list'), /socket hang up|ECONNRESET|EPIPE/);
      await assert.rejects(askHttp2(stranger, '/v2/of-all/app/tags/list'));
    }
    assert.equal(await ask(alice, '/v2/'), 200, 'the server goes on');
  });

  test('without a usable name are refused, and never taken for nobody', async () => {
    for (const subject of ['/O=Acme', '/O=Acme/OU=x']) {
      assert.equal(await ask(await authority.sign({ subject }), '/v2/of-all/app/tags/list'), 401);
    }
  });

  test('give way to credentials in the header, right or wrong', async () => {
    assert.equal(
      await ask(alice, UPLOAD, { method: 'POST', headers: basic('carol', 'secret-of-hers') }),
      403,
    );
    assert.equal(await ask(alice, UPLOAD, { method: 'POST', headers: basic('carol', 'wrong') }), 401);
  });

  test('may be required', async () => {
    const strict = await open({ clientAuth: 'require' });
    try {
      assert.equal(await ask(alice, '/v2/', { port: strict.port }), 200);
      await assert.rejects(ask(null, '/v2/', { port: strict.port }));
      await assert.rejects(ask(await foreign.sign({ subject: '/CN=alice' }), '/v2/', { port: strict.port }));
    } finally {
      await strict.close();
    }
  });

  test('are verified by the authorities of the file as it is now, also when a session is resumed', async () => {
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 });
    assert.equal(await ask(alice, '/v2/', { agent }), 200);
    assert.equal(await ask(alice, '/v2/', { agent }), 200, 'resumed');
    await writeFile(`${caFile}.new`, await readFile(foreign.caFile));
    await rename(`${caFile}.new`, caFile);
    const outsider = await foreign.sign({ subject: '/CN=alice' });
    await eventually(
      async () => (await ask(outsider, '/v2/').catch(() => 0)) === 200,
      5000,
      'the new authority counts',
    );
    await assert.rejects(ask(alice, '/v2/', { agent }), 'the old one does not');
    await writeFile(caFile, 'no certificate');
    const isReported = async (): Promise<boolean> =>
      (await served.logLines()).some(({ problem }) => String(problem).includes('holds no certificate'));
    await eventually(isReported, 20_000, 'the broken file is reported');
    assert.equal(await ask(outsider, '/v2/'), 200, 'the old ones stay in force');
  });
});
