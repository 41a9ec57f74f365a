import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { basic, passwordFile } from '../access/sign-in.ts';
import { errorOf } from '../support/client.ts';
import { serveRegistry, type Served } from '../support/served.ts';
import { startServer } from '../../support/server.ts';

async function withServed(
  http: Record<string, unknown>,
  use: (served: Served) => Promise<void>,
): Promise<void> {
  const served = await serveRegistry({ http });
  try {
    await use(served);
  } finally {
    await served.close();
  }
}

async function statuses(count: number, ask: (at: number) => Promise<{ status: number }>): Promise<number[]> {
  const found: number[] = [];
  for (let at = 0; at < count; at += 1) found.push((await ask(at)).status);
  return found;
}

describe('the limit of requests', { timeout: 120_000 }, () => {
  it('answers 429 as a list of errors, with the time to wait, and logs it', async () => {
    await withServed({ ratelimit: { rate: 3 } }, async (served) => {
      const first = await served.request('GET', '/v2/');
      assert.equal(first.headers['x-rate-limit-limit'], '3.00');
      assert.equal(first.headers['x-rate-limit-duration'], '1');
      assert.equal(first.headers['x-rate-limit-request-remote-addr'], '127.0.0.1');
      assert.equal(first.headers['ratelimit-limit'], '3');
      assert.equal(first.headers['ratelimit-remaining'], '2');
      assert.equal(first.headers['ratelimit-reset'], '1');
      const answers = await Promise.all(Array.from({ length: 20 }, () => served.request('GET', '/v2/')));
      const refused = answers.filter(({ status }) => status === 429);
      assert.ok(refused.length >= 15, `${refused.length} of 20 were refused`);
      const [one] = refused;
      assert.ok(one);
      assert.equal(errorOf(one).code, 'TOOMANYREQUESTS');
      assert.ok(Number(one.headers['retry-after']) >= 1);
      const lines = await served.accessLines('/v2/', 21);
      assert.ok(lines.some(({ statusCode }) => statusCode === 429));
    });
  });

  it('counts what has no route, and what is refused, and never health', async () => {
    await withServed({ ratelimit: { rate: 2 } }, async (served) => {
      assert.deepEqual(await statuses(4, () => served.request('GET', '/nothing/here')), [404, 404, 429, 429]);
      assert.deepEqual(await statuses(5, () => served.request('GET', '/livez')), [200, 200, 200, 200, 200]);
    });
  });

  it('can be of single methods', async () => {
    await withServed({ ratelimit: { methods: [{ method: 'delete', rate: 1 }] } }, async (served) => {
      assert.deepEqual(await statuses(2, () => served.request('DELETE', '/v2/a/manifests/b')), [404, 429]);
      assert.deepEqual(await statuses(5, () => served.request('GET', '/v2/')), [200, 200, 200, 200, 200]);
    });
  });

  it('is not evaded by a client that makes up addresses', async () => {
    await withServed({ ratelimit: { rate: 2 } }, async (served) => {
      const lie = (at: number): Promise<{ status: number }> =>
        served.request('GET', '/v2/', {
          headers: { 'x-forwarded-for': `10.9.8.${at}`, 'x-real-ip': `10.9.8.${at}` },
        });
      assert.deepEqual(await statuses(4, lie), [200, 200, 429, 429]);
      assert.ok(
        (await served.accessLines('/v2/', 4)).every(({ clientIP }) =>
          String(clientIP).startsWith('127.0.0.1:'),
        ),
      );
    });
  });

  it('is of the client that a trusted proxy names, in limits and in the log', async () => {
    await withServed({ ratelimit: { rate: 1 }, trustedProxies: ['127.0.0.0/8'] }, async (served) => {
      const from = (chain: string): Promise<{ status: number }> =>
        served.request('GET', '/v2/', { headers: { 'x-forwarded-for': chain } });
      assert.deepEqual(await statuses(3, () => from('203.0.113.1')), [200, 429, 429]);
      assert.deepEqual(await statuses(3, (at) => from(`9.9.9.${at}, 203.0.113.2`)), [200, 429, 429]);
      // One customer of a network holds a whole /64.
      assert.deepEqual(await statuses(3, (at) => from(`2001:db8::${at + 1}`)), [200, 429, 429]);
      const [line] = await served.accessLines('/v2/', 9);
      assert.equal(line?.clientIP, '203.0.113.1');
      assert.match(String(line?.proxyIP), /^127\.0\.0\.1:\d+$/);
    });
  });

  it('can be of each user who has signed in', async () => {
    const file = await passwordFile({ alice: 'secret-of-hers', bob: 'hidden-by-him' });
    const http = { ratelimit: { perUser: 2 }, auth: { htpasswd: { path: file.path } } };
    await withServed(http, async (served) => {
      const as = (name: string, password: string): Promise<{ status: number }> =>
        served.request('GET', '/v2/', { headers: basic(name, password) });
      assert.deepEqual(await statuses(2, () => as('alice', 'secret-of-hers')), [200, 200]);
      const [status] = (await Promise.all(Array.from({ length: 8 }, () => as('alice', 'secret-of-hers'))))
        .map((answer) => answer.status)
        .toSorted((a, b) => b - a);
      assert.equal(status, 429);
      assert.deepEqual(await statuses(2, () => as('bob', 'hidden-by-him')), [200, 200]);
    });
    await file.remove();
  });

  it('is one for all serving processes together', async () => {
    const server = await startServer({ config: { http: { workers: 2, ratelimit: { rate: 20 } } } });
    try {
      const startedMs = performance.now();
      const ask = async (): Promise<number> => {
        const answer = await fetch(`${server.url}/v2/`, { headers: { connection: 'close' } });
        await answer.arrayBuffer();
        return answer.status;
      };
      let passed = 0;
      for (let round = 0; round < 10; round += 1) {
        const found = await Promise.all(Array.from({ length: 12 }, ask));
        passed += found.filter((status) => status === 200).length;
      }
      const elapsedSeconds = (performance.now() - startedMs) / 1000;
      assert.ok(passed >= 18, `only ${passed} of 120 passed`);
      assert.ok(passed <= 21 + 20 * elapsedSeconds, `${passed} passed in ${elapsedSeconds} s`);
    } finally {
      await server.stop();
    }
  });
});
