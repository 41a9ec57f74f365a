import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '../support/client.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served, ServedOptions } from '../support/served.ts';
import { eventually } from '../../support/eventually.ts';
import { FROM_UI, basic, passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';

const LOGOUT = '/zot/auth/logout';

/** The cookies of an answer by name: value and attributes. */
function cookiesOf(answer: Answer): ReadonlyMap<string, { value: string; attributes: readonly string[] }> {
  const cookies = answer.headers['set-cookie'] ?? [];
  return new Map(
    cookies.map((text) => {
      const [pair = '', ...attributes] = text.split('; ');
      const equals = pair.indexOf('=');
      return [pair.slice(0, equals), { value: pair.slice(equals + 1), attributes }];
    }),
  );
}

function sessionOf(answer: Answer): string {
  const { value = '' } = cookiesOf(answer).get('session') ?? {};
  assert.notEqual(value, '', 'the answer begins a session');
  return value;
}

const cookie = (session: string): { readonly cookie: string } => ({
  cookie: `theme=dark; session=${session}`,
});

describe('sessions', { timeout: 60_000 }, () => {
  let file: PasswordFile;
  let served: Served;
  const open = (http: Record<string, unknown> = {}, options: ServedOptions = {}): Promise<Served> =>
    serveRegistry({ ...options, http: { auth: { htpasswd: { path: file.path }, apikey: true }, ...http } });
  before(async () => {
    file = await passwordFile({ älice: 'secret-of-hers', bob: 'hidden-by-him', carol: 'carol' });
    served = await open();
  });
  after(async () => {
    await served.close();
    await file.remove();
  });

  const signIn = (user = 'älice', password = 'secret-of-hers', headers = {}): Promise<Answer> =>
    served.request('GET', '/v2/', { headers: { ...basic(user, password), ...FROM_UI, ...headers } });
  const ask = (session: string, target = '/v2/', headers = {}): Promise<Answer> =>
    served.request('GET', target, { headers: { ...cookie(session), ...FROM_UI, ...headers } });

  test('begin with a sign-in of the UI, in the cookies of zot', async () => {
    const answer = await signIn();
    assert.equal(answer.status, 200);
    const cookies = cookiesOf(answer);
    assert.deepEqual(cookies.get('session')?.attributes, [
      'Path=/',
      'Max-Age=7200',
      'HttpOnly',
      'SameSite=Lax',
    ]);
    assert.deepEqual(cookies.get('user'), {
      value: encodeURIComponent('älice'),
      attributes: ['Path=/', 'Max-Age=7200', 'SameSite=Lax'],
    });
    const session = sessionOf(answer);
    const again = await ask(session, '/zot/auth/apikey');
    assert.equal(again.status, 200);
    assert.equal(again.headers['set-cookie'], undefined, 'a fresh session is not written again');
  });

  test('do not begin with a client that is not the UI, nor with a wrong password', async () => {
    const plain = await served.request('GET', '/v2/', { headers: basic('älice', 'secret-of-hers') });
    assert.deepEqual([plain.status, plain.headers['set-cookie']], [200, undefined]);
    const wrong = await signIn('älice', 'wrong');
    assert.deepEqual([wrong.status, wrong.headers['set-cookie']], [401, undefined]);
    assert.equal(wrong.headers['www-authenticate'], undefined, 'browsers are not made to ask');
  });

  test('count only with the header of the UI: a cookie alone is how other sites ask', async () => {
    const session = sessionOf(await signIn());
    assert.equal((await served.request('GET', '/v2/', { headers: cookie(session) })).status, 401);
    const forged = { ...cookie(session), 'x-zot-api-client': 'other' };
    assert.equal(
      (await served.request('POST', '/zot/auth/apikey', { headers: forged, body: '{}' })).status,
      401,
    );
  });

  test('that were tampered with, made up or ended are none, and the browser forgets them', async () => {
    const session = sessionOf(await signIn());
    const [id = '', signature = ''] = session.split('.');
    const flipped = `${id.startsWith('A') ? 'B' : 'A'}${id.slice(1)}`;
    const values = [
      `${flipped}.${signature}`,
      id,
      `${id}.`,
      `.${signature}`,
      `${session}.x`,
      `${id}.${signature.slice(1)}`,
      'x',
      'A'.repeat(5000),
    ];
    for (const value of values) {
      const answer = await ask(value);
      assert.equal(answer.status, 401, value.slice(0, 80));
      const gone = cookiesOf(answer).get('session');
      assert.ok(gone?.value === '' && gone.attributes.includes('Max-Age=0'), 'the cookie is taken back');
    }
    assert.equal((await ask(session)).status, 200, 'the right one still counts');
  });

  test('get a new id at each sign-in, and the old one ends (fixation)', async () => {
    const planted = sessionOf(await signIn('bob', 'hidden-by-him'));
    const after = sessionOf(await signIn('älice', 'secret-of-hers', cookie(planted)));
    assert.notEqual(after, planted);
    assert.equal((await ask(planted)).status, 401);
    assert.equal((await ask(after)).status, 200);
  });

  test('end with the sign-out, here and in the browser', async () => {
    const session = sessionOf(await signIn());
    const answer = await served.request('POST', LOGOUT, { headers: { ...cookie(session), ...FROM_UI } });
    assert.deepEqual([answer.status, answer.text], [200, '{}']);
    for (const name of ['session', 'user']) {
      const gone = cookiesOf(answer).get(name);
      assert.ok(gone?.value === '' && gone.attributes.includes('Max-Age=0'), name);
    }
    assert.equal((await ask(session)).status, 401, 'a copy of the cookie is worth nothing any more');
    for (const headers of [{}, cookie('nonsense'), cookie(session)]) {
      assert.equal((await served.request('POST', LOGOUT, { headers })).status, 200);
    }
  });

  test('are not ended by a page of another site', async () => {
    const session = sessionOf(await signIn());
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }]) {
      const answer = await served.request('POST', LOGOUT, { headers: { ...cookie(session), ...headers } });
      assert.deepEqual([answer.status, answer.headers['set-cookie']], [403, undefined]);
    }
    assert.equal((await ask(session)).status, 200);
    assert.equal((await served.request('GET', LOGOUT, { headers: cookie(session) })).status, 405);
  });

  test('end when the password changes or the user is removed', async () => {
    const sessions = [
      sessionOf(await signIn('bob', 'hidden-by-him')),
      sessionOf(await signIn('carol', 'carol')),
    ];
    await file.replace({ älice: 'secret-of-hers', bob: 'changed-later' });
    for (const session of sessions) {
      await eventually(async () => (await ask(session)).status === 401, 20_000, 'the session ends');
    }
  });

  test('survive a restart, since their key is in the records', async () => {
    const first = await open({}, { root: path.join(file.folder, 'data') });
    const session = sessionOf(
      await first.request('GET', '/v2/', { headers: { ...basic('bob', 'changed-later'), ...FROM_UI } }),
    );
    await first.close();
    const second = await open({}, { root: path.join(file.folder, 'data') });
    try {
      const answer = await second.request('GET', '/v2/', { headers: { ...cookie(session), ...FROM_UI } });
      assert.equal(answer.status, 200);
    } finally {
      await second.close();
    }
  });

  test('are signed and encrypted with the keys of a file, and marked Secure where told', async () => {
    const keys = path.join(file.folder, 'keys.json');
    await writeFile(
      keys,
      JSON.stringify({ hashKey: 'a-key-of-our-own', encryptKey: '0123456789abcdef0123456789abcdef' }),
    );
    const auth = { htpasswd: { path: file.path }, sessionKeysFile: keys, secureSession: true };
    const root = path.join(file.folder, 'keyed');
    const first = await open({ auth }, { root });
    const answer = await first.request('GET', '/v2/', {
      headers: { ...basic('bob', 'changed-later'), ...FROM_UI },
    });
    assert.ok(cookiesOf(answer).get('session')?.attributes.includes('Secure'));
    const session = sessionOf(answer);
    assert.equal(
      (await first.request('GET', '/v2/', { headers: { ...cookie(session), ...FROM_UI } })).status,
      200,
    );
    await first.close();
    await writeFile(
      keys,
      JSON.stringify({ hashKey: 'another-key', encryptKey: '0123456789abcdef0123456789abcdef' }),
    );
    const second = await open({ auth }, { root });
    try {
      const later = await second.request('GET', '/v2/', { headers: { ...cookie(session), ...FROM_UI } });
      assert.equal(later.status, 401, 'other keys make no sense of it');
    } finally {
      await second.close();
    }
  });

  test('in Redis are refused clearly as long as there are none', async () => {
    const auth = {
      htpasswd: { path: file.path },
      sessionDriver: { name: 'redis', url: 'redis://127.0.0.1:1' },
    };
    await assert.rejects(open({ auth }), /sessionDriver.*redis.*not supported yet/);
  });
});
