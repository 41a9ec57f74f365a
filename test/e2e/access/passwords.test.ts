import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { errorOf } from '../support/client.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { as } from './as.ts';
import { eventually } from '../../support/eventually.ts';
import { basic, passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';

const SHA512 =
  '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1';
const SHA256 = '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5';

describe('signing in with a password', { timeout: 60_000 }, () => {
  let file: PasswordFile;
  let served: Served;
  before(async () => {
    file = await passwordFile({ alice: 'alice:secret', bob: 'pässwörd', 'with space': '' });
    await file.append(`carol:${SHA512}\r\ndave:${SHA256}\n`);
    served = await serveRegistry({ http: { auth: { htpasswd: { path: file.path } }, realm: 'my "realm"' } });
  });
  after(async () => {
    await served.close();
    await file.remove();
  });

  const status = async (user: string, password: string): Promise<number> =>
    (await served.request('GET', '/v2/', { headers: basic(user, password) })).status;

  test('takes bcrypt and both kinds of SHA-crypt, colons and any character in passwords', async () => {
    assert.equal(await status('alice', 'alice:secret'), 200);
    assert.equal(await status('bob', 'pässwörd'), 200);
    assert.equal(await status('with space', ''), 200);
    assert.equal(await status('carol', 'Hello world!'), 200);
    assert.equal(await status('dave', 'Hello world!'), 200);
  });

  test('refuses everything else with the challenge', async () => {
    for (const [user, password] of [
      ['alice', 'alice'],
      ['alice', ''],
      ['Alice', 'alice:secret'],
      ['erin', 'x'],
      ['', 'x'],
    ] as const) {
      const answer = await served.request('GET', '/v2/', { headers: basic(user, password) });
      assert.equal(answer.status, 401, user);
      assert.equal(answer.headers['www-authenticate'], 'Basic realm="my \\"realm\\""');
      assert.equal(errorOf(answer).code, 'UNAUTHORIZED');
      assert.ok(!answer.text.includes('password'), 'which part is wrong is not said');
    }
    assert.equal((await served.request('GET', '/v2/')).status, 401);
  });

  test('refuses what is no Basic credentials, however it is mangled', async () => {
    const headers = [
      'Basic',
      'Basic ',
      'Basic !!!!',
      'Basic YWxpY2U=',
      'Bearer x',
      'Basic /////w==',
      'Digest a=b',
      'x',
    ];
    for (const authorization of headers) {
      assert.equal(
        (await served.request('GET', '/v2/', { headers: { authorization } })).status,
        401,
        authorization,
      );
    }
    const huge = { authorization: `Basic ${'QUFB'.repeat(12_000)}` };
    assert.equal((await served.request('GET', '/v2/', { headers: huge })).status, 401);
    const twice = as(served, [basic('alice', 'alice:secret').authorization, 'Bearer x']);
    assert.equal((await twice.request('GET', '/v2/')).status, 401);
  });

  test('no password, right or wrong, is in the log', async () => {
    assert.equal(await status('alice', 'not-my-password'), 401);
    const text = JSON.stringify(await served.logLines());
    for (const secret of [
      'alice:secret',
      'not-my-password',
      basic('alice', 'alice:secret').authorization.slice(6),
    ]) {
      assert.ok(!text.includes(secret), secret);
    }
  });
});

describe('a password file that changes', { timeout: 60_000 }, () => {
  let file: PasswordFile;
  let served: Served;
  before(async () => {
    file = await passwordFile({ alice: 'one', bob: 'two' });
    served = await serveRegistry({ http: { auth: { htpasswd: { path: file.path } } } });
  });
  after(async () => {
    await served.close();
    await file.remove();
  });

  const status = async (user: string, password: string): Promise<number> =>
    (await served.request('GET', '/v2/', { headers: basic(user, password) })).status;

  test(
    'a changed password and a removed user are refused within a second, also where they were ' + 'remembered',
    async () => {
      assert.equal(await status('alice', 'one'), 200);
      assert.equal(await status('bob', 'two'), 200);
      await file.replace({ alice: 'new', carol: 'three' });
      const elapsedMs = await eventually(
        async () => (await status('alice', 'one')) !== 200,
        3000,
        'the old password is refused',
      );
      assert.ok(elapsedMs < 1000, `${elapsedMs} ms`);
      assert.notEqual(await status('bob', 'two'), 200);
      assert.equal(await status('alice', 'new'), 200);
      assert.equal(await status('carol', 'three'), 200);
    },
  );

  test('a broken file leaves the users in force, and says so', async () => {
    for (const broken of [
      () => truncate(file.path, 100 * 1024 * 1024),
      () => writeFile(file.path, Buffer.from([0xff])),
    ]) {
      await broken();
      const isReported = async (): Promise<boolean> =>
        (await served.logLines()).some(({ message }) => String(message).includes('the old users stay'));
      await eventually(isReported, 20_000, 'the broken file is reported');
      assert.equal(await status('alice', 'new'), 200);
    }
    await file.replace({ alice: 'mended' });
    await eventually(
      async () => (await status('alice', 'mended')) === 200,
      20_000,
      'the mended file is taken',
    );
  });
});
