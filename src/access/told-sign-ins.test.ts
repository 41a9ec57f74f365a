import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ANONYMOUS } from './contract.ts';
import type { AccessRequest, AuditEvent, AuthMethod, Authenticator, Identity, Refused } from './contract.ts';
import { SignInMemory } from './passwords/sign-in-memory.ts';
import { tellingSignIns } from './told-sign-ins.ts';

describe('sign-ins by what comes with every request', () => {
  let nowMs: number;
  let memory: SignInMemory;
  let told: AuditEvent[];
  let found: Identity | Refused | null;
  beforeEach(() => {
    nowMs = 1000;
    memory = new SignInMemory(() => nowMs);
    told = [];
    found = { ...ANONYMOUS, username: 'alice', method: 'apikey' };
  });

  const way = (method: AuthMethod = 'apikey'): Authenticator =>
    tellingSignIns(
      { method, identify: async () => found, close: async () => undefined },
      (event) => void told.push(event),
      memory,
    );
  const come = (authenticator: Authenticator, clientAddress = '10.0.0.1'): Promise<unknown> =>
    authenticator.identify({ clientAddress } as AccessRequest);

  test('are told once for a user and an address, and again after a while', async () => {
    const authenticator = way();
    for (let time = 0; time < 5; time += 1) await come(authenticator);
    await come(authenticator, '10.0.0.2');
    assert.deepEqual(
      told.map(({ subject, object, outcome, clientIP }) => [subject, object, outcome, clientIP]),
      [
        ['alice', 'apikey', 'allowed', '10.0.0.1'],
        ['alice', 'apikey', 'allowed', '10.0.0.2'],
      ],
    );
    nowMs += 600_001;
    await come(authenticator);
    assert.equal(told.length, 3);
  });

  test('are not told anew because the configuration was opened again', async () => {
    await come(way());
    await come(way());
    assert.equal(told.length, 1);
  });

  test('are none when nobody came, or was refused, or when the way tells of them itself', async () => {
    const refused: Refused = { refused: true, reason: 'wrong', username: 'alice' };
    for (const nobody of [null, ANONYMOUS, refused]) {
      found = nobody;
      await come(way());
    }
    found = { ...ANONYMOUS, username: 'alice', method: 'htpasswd' };
    for (const method of ['htpasswd', 'session', 'token'] as const) await come(way(method));
    assert.deepEqual(told, []);
  });
});
