import assert from 'node:assert/strict';
import { it } from 'node:test';
import { basic, passwordFile } from '../access/sign-in.ts';
import { serveRegistry } from '../support/served.ts';

it(
  'answers wrong credentials and refusals late, and the first question at once',
  { timeout: 60_000 },
  async () => {
    const file = await passwordFile({ alice: 'secret-of-hers' });
    const auth = { htpasswd: { path: file.path }, failDelay: 1 };
    const accessControl = {
      repositories: { 'a/**': { policies: [{ users: ['alice'], actions: ['read'] }] } },
    };
    const served = await serveRegistry({ http: { auth, accessControl } });
    const timeOf = async (
      target: string,
      headers: Record<string, string>,
      status: number,
    ): Promise<number> => {
      const startedMs = performance.now();
      assert.equal((await served.request('GET', target, { headers })).status, status);
      return performance.now() - startedMs;
    };
    const readHeaders = basic('alice', 'secret-of-hers');
    await timeOf('/v2/', readHeaders, 200);
    assert.ok((await timeOf('/v2/', {}, 401)) < 900);
    assert.ok((await timeOf('/v2/', basic('alice', 'wrong'), 401)) > 950);
    assert.ok((await timeOf('/v2/b/tags/list', readHeaders, 403)) > 950);
    assert.ok((await timeOf('/v2/a/b/tags/list', readHeaders, 404)) < 900);
    await served.close();
    await file.remove();
  },
);
