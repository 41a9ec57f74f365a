import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { sendRequest } from '../support/client.ts';
import type { Answer, Call } from '../support/client.ts';
import { eventually } from '../../support/eventually.ts';
import { FROM_UI, basic, passwordFile } from './sign-in.ts';
import type { PasswordFile } from './sign-in.ts';

const KEYS = '/zot/auth/apikey';
/** Connections of their own, spread by the kernel: enough that each of three processes gets some. */
const CONNECTIONS = 40;

describe('signing in to several processes', { timeout: 120_000 }, () => {
  let file: PasswordFile;
  let server: RunningServer;
  before(async () => {
    file = await passwordFile({ alice: 'secret-of-hers', bob: 'hidden-by-him' });
    const auth = { htpasswd: { path: file.path }, apikey: true };
    server = await startServer({ config: { http: { workers: 3, auth } } });
  });
  after(async () => {
    await server.stop();
    await file.remove();
  });

  const ask = (method: string, target: string, headers: Call['headers'], body?: string): Promise<Answer> =>
    sendRequest(server.port, {
      method,
      target,
      headers: headers ?? {},
      ...(body === undefined ? {} : { body }),
    });

  /** How often each status was answered to as many requests on connections of their own. */
  async function statuses(headers: Call['headers'], count = CONNECTIONS): Promise<Record<number, number>> {
    const answers = await Promise.all(Array.from({ length: count }, () => ask('GET', '/v2/', headers)));
    const counts: Record<number, number> = {};
    for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  const alice = basic('alice', 'secret-of-hers');

  test('works in each of them at once', async () => {
    assert.deepEqual(await statuses(alice), { 200: CONNECTIONS });
  });

  test('a new key is known, and a revoked one refused, in each of them at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const made = await ask('POST', KEYS, alice, '{"label":"x"}');
      const { apiKey, uuid } = JSON.parse(made.text) as { apiKey: string; uuid: string };
      const key = basic('alice', apiKey);
      assert.deepEqual(await statuses(key), { 200: CONNECTIONS });
      assert.equal((await ask('DELETE', `${KEYS}?id=${uuid}`, alice)).status, 200);
      assert.deepEqual(await statuses(key), { 401: CONNECTIONS });
    }
  });

  test('a session begins and ends in each of them at once', async () => {
    const answer = await ask('GET', '/v2/', { ...alice, ...FROM_UI });
    const [pair = ''] = answer.headers['set-cookie']?.[0]?.split(';') ?? [];
    const session = { cookie: pair, ...FROM_UI };
    assert.deepEqual(await statuses(session), { 200: CONNECTIONS });
    assert.equal((await ask('POST', '/zot/auth/logout', session)).status, 200);
    assert.deepEqual(await statuses(session), { 401: CONNECTIONS });
  });

  test('failures are counted for all of them together', async () => {
    const answered: number[] = [];
    for (let guess = 0; guess < 12; guess += 1) {
      answered.push((await ask('GET', '/v2/', basic('bob', `guess ${guess}`))).status);
    }
    assert.deepEqual(answered, [
      ...Array.from({ length: 5 }, () => 401),
      ...Array.from({ length: 7 }, () => 429),
    ]);
  });

  // How long it takes is printed, since a busy machine may stretch any second: see also reload/in-force.test.ts.
  test('a changed password is refused in each of them within a second', async (context) => {
    await statuses(alice);
    await file.replace({ alice: 'changed-later' });
    // With fewer connections the kernel may leave out a process, which then goes by the old file still.
    const isRefused = async (): Promise<boolean> => (await statuses(alice))[200] === undefined;
    const elapsedMs = await eventually(isRefused, 20_000, 'the old password is refused');
    context.diagnostic(`refused everywhere after ${Math.round(elapsedMs)} ms`);
    assert.equal((await ask('GET', '/v2/', basic('alice', 'changed-later'))).status, 200);
  });
});
