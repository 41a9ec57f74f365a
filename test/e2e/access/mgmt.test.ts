/** What clients are told before they sign in: the ways to sign in that are in force, also after a change. */
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startServer, type RunningServer } from '../../support/server.ts';
import { eventually } from '../../support/eventually.ts';
import { passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';

const URL = '/v2/_zot/ext/mgmt';

describe('how one signs in, as clients ask', { timeout: 60_000 }, () => {
  let file: PasswordFile;
  let server: RunningServer;
  before(async () => {
    file = await passwordFile({ alice: 'secret-of-alice' });
    const http = { workers: 2, auth: { htpasswd: { path: file.path } } };
    server = await startServer({ config: { http, extensions: { search: { enable: true } } } });
  });
  after(async () => {
    await server.stop();
    await file.remove();
  });

  const ask = async (): Promise<unknown> => {
    const answer = await fetch(`${server.url}${URL}`, { headers: { connection: 'close' } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    const body = (await answer.json()) as { readonly http: { readonly auth: unknown } };
    return body.http.auth;
  };

  test('is told to everybody, and nothing of where passwords are', async () => {
    assert.equal((await fetch(`${server.url}/v2/`)).status, 401);
    assert.deepEqual(await ask(), { htpasswd: {} });
  });

  test('follows the configuration on every process', async () => {
    const config = JSON.parse(await readFile(server.configFile, 'utf8')) as { http: Record<string, unknown> };
    const oidc = {
      name: 'Company',
      clientid: 'a-client',
      clientsecret: 'its-secret-4711',
      issuer: 'http://127.0.0.1:1',
      scopes: ['openid'],
    };
    config.http['auth'] = { openid: { providers: { oidc } } };
    config.http['accessControl'] = { repositories: { '**': { anonymousPolicy: ['read'] } } };
    await writeFile(`${server.configFile}.new`, JSON.stringify(config));
    await rename(`${server.configFile}.new`, server.configFile);
    const expected = JSON.stringify({
      openid: { providers: { oidc: { name: 'Company' } } },
      apikey: true,
      allowAnonymousAccess: true,
    });
    const isEverywhere = async (): Promise<boolean> => {
      const all = await Promise.all(Array.from({ length: 16 }, ask));
      return all.every((auth) => JSON.stringify(auth) === expected);
    };
    await eventually(isEverywhere, 20_000, 'the new ways are told');
  });
});
