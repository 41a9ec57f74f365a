import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basic, passwordFile } from '../access/sign-in.ts';
import { serveRegistry } from '../support/served.ts';

const FAILURES = 1000;
const AT_ONCE = 20;

/** Names and addresses of the attacker’s making, as large as they get through. */
const attack = (at: number): Record<string, string> => ({
  ...basic(`${'n'.repeat(1000)}-${at}`, `${'p'.repeat(70)}${at}`),
  'x-forwarded-for': `198.51.${at >> 8}.${at & 255}`,
});

test('1,000 failing sign-ins cost bounded memory, and keep nobody out', { timeout: 180_000 }, async () => {
  const file = await passwordFile({ alice: 'secret-of-hers' });
  const http = { auth: { htpasswd: { path: file.path } }, trustedProxies: ['127.0.0.1'] };
  const served = await serveRegistry({ http });
  const round = async (from: number): Promise<number[]> =>
    Promise.all(
      Array.from({ length: AT_ONCE }, async (_, at) => {
        const answer = await served.request('GET', '/v2/', { headers: attack(from + at) });
        return answer.status;
      }),
    );
  const statuses: number[] = [];
  for (let at = 0; at < AT_ONCE * 5; at += AT_ONCE) statuses.push(...(await round(at)));
  globalThis.gc?.();
  const beforeBytes = process.memoryUsage().heapUsed;
  for (let at = AT_ONCE * 5; at < FAILURES; at += AT_ONCE) statuses.push(...(await round(at)));
  globalThis.gc?.();
  const grownBytes = process.memoryUsage().heapUsed - beforeBytes;
  assert.equal(statuses.length, FAILURES);
  assert.ok(
    statuses.every((status) => status === 401 || status === 429),
    'each is refused',
  );
  assert.ok(grownBytes < 64 * 1024 * 1024, `${grownBytes} bytes`);
  const own = { ...basic('alice', 'secret-of-hers'), 'x-forwarded-for': '203.0.113.1' };
  assert.equal((await served.request('GET', '/v2/', { headers: own })).status, 200);
  await served.close();
  await file.remove();
});
