import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { errorOf } from '../support/client.ts';
import type { Answer, Call } from '../support/client.ts';
import { imageOf, pushImage } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { as } from './as.ts';
import { eventually } from '../../support/eventually.ts';
import { FROM_UI, basic, passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';

const NO_TIME = '0001-01-01T00:00:00Z';
const KEYS = '/zot/auth/apikey';
const IMAGE = imageOf('of API keys');

interface ShownKey {
  readonly apiKey: string;
  readonly uuid: string;
  readonly [field: string]: unknown;
}

describe('API keys', { timeout: 60_000 }, () => {
  let file: PasswordFile;
  let served: Served;
  before(async () => {
    file = await passwordFile({ alice: 'alice-secret', bob: 'bob-secret' });
    const accessControl = {
      repositories: { '**': { defaultPolicy: ['read', 'create', 'update', 'delete'] } },
    };
    served = await serveRegistry({
      http: { auth: { htpasswd: { path: file.path }, apikey: true }, accessControl },
    });
  });
  beforeEach(() => file.replace({ alice: 'alice-secret', bob: 'bob-secret' }));
  after(async () => {
    await served.close();
    await file.remove();
  });

  const alice = basic('alice', 'alice-secret');

  function ask(method: string, target: string, headers: Call['headers'], body?: string): Promise<Answer> {
    return served.request(method, target, {
      headers: headers ?? {},
      ...(body === undefined ? {} : { body }),
    });
  }

  async function makeKey(asked: Readonly<Record<string, unknown>> = {}, headers = alice): Promise<ShownKey> {
    const answer = await ask('POST', KEYS, headers, JSON.stringify({ label: 'a key', ...asked }));
    assert.equal(answer.status, 201, answer.text);
    return JSON.parse(answer.text) as ShownKey;
  }

  async function listed(headers: Call['headers'] = alice): Promise<readonly ShownKey[]> {
    const answer = await ask('GET', KEYS, headers);
    assert.equal(answer.status, 200, answer.text);
    return (JSON.parse(answer.text) as { apiKeys: ShownKey[] }).apiKeys;
  }

  const status = async (user: string, key: string, target = '/v2/', method = 'GET'): Promise<number> =>
    (await ask(method, target, basic(user, key))).status;

  test('are shown once, with the fields of zot, and never again', async () => {
    const answer = await ask(
      'POST',
      KEYS,
      { ...alice, 'user-agent': 'my client' },
      '{"label":"ci","scopes":["pull"]}',
    );
    assert.equal(answer.status, 201);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.headers['cache-control'], 'no-store');
    const made = JSON.parse(answer.text) as ShownKey;
    assert.match(made.apiKey, /^zak_[0-9a-f]{32}$/);
    const { apiKey, createdAt, uuid, ...rest } = made;
    assert.ok(Math.abs(Date.parse(String(createdAt)) - Date.now()) < 60_000);
    const shown = {
      expirationDate: NO_TIME,
      isExpired: false,
      creatorUa: 'my client',
      generatedBy: 'manual',
    };
    assert.deepEqual(rest, { ...shown, lastUsed: NO_TIME, label: 'ci', scopes: ['pull'] });
    const again = (await listed()).find((key) => key.uuid === uuid);
    assert.deepEqual(again, { ...rest, createdAt, uuid });
    assert.ok(!JSON.stringify(await served.logLines()).includes(apiKey), 'not in the log');
  });

  test('sign their owner in, and nobody else', async () => {
    const { apiKey } = await makeKey();
    assert.equal(await status('alice', apiKey), 200);
    for (const [user, key] of [
      ['bob', apiKey],
      ['Alice', apiKey],
      ['', apiKey],
      ['alice', `${apiKey}0`],
      ['alice', apiKey.toUpperCase()],
    ]) {
      assert.equal(await status(user ?? '', key ?? ''), 401, `${user} ${key}`);
    }
    const other = `zak_${'0'.repeat(32)}`;
    assert.equal(await status('alice', other), 401);
  });

  test('are revoked at once', async () => {
    const { apiKey, uuid } = await makeKey();
    assert.equal(await status('alice', apiKey), 200);
    assert.equal(
      (await ask('DELETE', `${KEYS}?id=${uuid}`, basic('bob', 'bob-secret'))).status,
      404,
      'not by others',
    );
    const answer = await ask('DELETE', `${KEYS}?id=${uuid}`, alice);
    assert.deepEqual([answer.status, answer.text], [200, '']);
    assert.equal(await status('alice', apiKey), 401);
    assert.equal((await ask('DELETE', `${KEYS}?id=${uuid}`, alice)).status, 404);
    for (const query of ['', '?id=', '?id=a&id=b']) {
      assert.equal((await ask('DELETE', `${KEYS}${query}`, alice)).status, 400, query);
    }
  });

  test('expire', async () => {
    const expirationDate = new Date(Date.now() + 1500).toISOString();
    const { apiKey, uuid } = await makeKey({ expirationDate });
    assert.equal(await status('alice', apiKey), 200);
    await eventually(async () => (await status('alice', apiKey)) === 401, 20_000, 'the key expires');
    assert.equal((await listed()).find((key) => key.uuid === uuid)?.['isExpired'], true);
  });

  test('do what their scopes say and no more', async () => {
    const pushing = as(served, alice.authorization);
    await pushImage(pushing, 'team/app', IMAGE, 'latest');
    await pushImage(pushing, 'other/app', IMAGE, 'latest');
    const manifest = (repo: string): string => `/v2/${repo}/manifests/latest`;
    const { apiKey } = await makeKey({ scopes: ['repository:team/*:pull'] });
    assert.equal(await status('alice', apiKey, manifest('team/app')), 200);
    assert.equal(await status('alice', apiKey, manifest('other/app')), 403);
    assert.equal(await status('alice', apiKey, '/v2/team/app/blobs/uploads/', 'POST'), 403);
    assert.equal(await status('alice', apiKey, manifest('team/app'), 'DELETE'), 403);
    const catalog = await ask('GET', '/v2/_catalog', basic('alice', apiKey));
    assert.deepEqual(JSON.parse(catalog.text), { repositories: ['team/app'] });
    const pusher = await makeKey({ scopes: ['repository:other/**:push', 'delete'] });
    assert.equal(await status('alice', pusher.apiKey, '/v2/other/app/blobs/uploads/', 'POST'), 202);
    assert.equal(await status('alice', pusher.apiKey, '/v2/team/app/blobs/uploads/', 'POST'), 403);
    assert.equal(await status('alice', pusher.apiKey, manifest('other/app')), 403);
    assert.equal(await status('alice', pusher.apiKey, manifest('team/app'), 'DELETE'), 202);
  });

  test('make, show and revoke no keys themselves', async () => {
    const { apiKey, uuid } = await makeKey();
    const headers = basic('alice', apiKey);
    assert.equal((await ask('POST', KEYS, headers, '{}')).status, 403);
    assert.equal((await ask('GET', KEYS, headers)).status, 403);
    assert.equal((await ask('DELETE', `${KEYS}?id=${uuid}`, headers)).status, 403);
  });

  test('end with their owner', async () => {
    const { apiKey } = await makeKey({}, basic('bob', 'bob-secret'));
    assert.equal(await status('bob', apiKey), 200);
    await file.replace({ alice: 'alice-secret', bob: 'another-password' });
    await eventually(
      async () => (await status('bob', 'another-password')) === 200,
      5000,
      'the password changes',
    );
    assert.equal(await status('bob', apiKey), 200, 'a new password leaves the keys');
    await file.replace({ alice: 'alice-secret' });
    await eventually(async () => (await status('bob', apiKey)) === 401, 20_000, 'the user is gone');
  });

  test('show when they were used last', async () => {
    const { apiKey, uuid } = await makeKey();
    assert.equal(await status('alice', apiKey), 200);
    const isNoted = async (): Promise<boolean> =>
      (await listed()).find((key) => key.uuid === uuid)?.['lastUsed'] !== NO_TIME;
    await eventually(isNoted, 10_000, 'the use is written');
  });

  test('need somebody who has signed in', async () => {
    for (const [method, target] of [
      ['POST', KEYS],
      ['GET', KEYS],
      ['DELETE', `${KEYS}?id=x`],
    ] as const) {
      const answer = await ask(method, target, {}, method === 'POST' ? '{}' : undefined);
      assert.equal(answer.status, 401, method);
      assert.match(String(answer.headers['www-authenticate']), /^Basic/);
    }
    const quiet = await ask('GET', KEYS, FROM_UI);
    assert.equal(quiet.headers['www-authenticate'], undefined);
  });

  test('are asked for in one way only', async () => {
    const refused: readonly (readonly [string, RegExp])[] = [
      ['', /not JSON/],
      ['[]', /not a JSON object/],
      ['{"label":5}', /label/],
      [`{"label":"${'x'.repeat(300)}"}`, /label/],
      ['{"scopes":"pull"}', /scopes is no list/],
      ['{"scopes":[1]}', /scopes is no list/],
      ['{"scopes":["fly"]}', /unknown word \\"fly\\"|unknown word/],
      ['{"scopes":["repository:team"]}', /names no actions/],
      ['{"scopes":["repository:a{b:pull"]}', /no valid pattern/],
      ['{"scopes":["constructor"]}', /unknown word/],
      [`{"scopes":[${Array.from({ length: 65 }, () => '"pull"').join(',')}]}`, /more than 64/],
      ['{"expirationDate":"tomorrow"}', /expirationDate/],
      ['{"expirationDate":"2020-01-01T00:00:00Z"}', /in the past/],
      ['{"expirationDate":"2999-02-30T00:00:00Z"}', /expirationDate/],
      ['{"expirationDate":5}', /expirationDate/],
    ];
    for (const [body, message] of refused) {
      const answer = await ask('POST', KEYS, alice, body);
      assert.equal(answer.status, 400, body);
      assert.match(errorOf(answer).message, message, body);
    }
    const large = await ask('POST', KEYS, alice, JSON.stringify({ label: 'x'.repeat(9000) }));
    assert.equal(large.status, 413);
    assert.equal((await makeKey({ expirationDate: '', scopes: null }))['expirationDate'], NO_TIME);
  });

  test('are not made or revoked by a page of another site', async () => {
    const foreign = [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ];
    const { uuid } = await makeKey();
    for (const headers of foreign) {
      assert.equal((await ask('POST', KEYS, { ...alice, ...headers }, '{}')).status, 403);
      assert.equal((await ask('DELETE', `${KEYS}?id=${uuid}`, { ...alice, ...headers })).status, 403);
    }
    const own = { 'sec-fetch-site': 'cross-site', ...FROM_UI };
    assert.equal((await ask('POST', KEYS, { ...alice, ...own }, '{}')).status, 201, 'the UI elsewhere may');
  });
});
