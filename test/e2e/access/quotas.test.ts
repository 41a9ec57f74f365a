/** Who sees which quota: administrators all, others those of which they may read a repository. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { jsonOf } from '../support/client.ts';
import { imageOf, pushImage } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { as } from './as.ts';
import { basic, htpasswdOf } from './worlds.ts';

describe('quotas are shown', { timeout: 60_000 }, () => {
  let served: Served;
  before(async () => {
    const auth = { htpasswd: { path: htpasswdOf(['root', 'reader', 'outsider']) } };
    const actions = ['read', 'create', 'update', 'delete'];
    const accessControl = {
      repositories: { 'team/app': { policies: [{ users: ['reader'], actions: ['read'] }] } },
      adminPolicy: { users: ['root'], actions },
    };
    const quotas = ['', 'team', 'team/app', 'team/web', 'other'].map((prefix) => ({
      prefix,
      maxBytes: '1Gi',
    }));
    served = await serveRegistry({ http: { auth, accessControl }, storage: { quotas } });
    const root = as(served, basic('root'));
    for (const repo of ['team/app', 'team/web']) await pushImage(root, repo, imageOf(repo), 'v1');
  });
  after(() => served.close());

  async function seenBy(user: string): Promise<string[]> {
    const answer = await as(served, basic(user)).request('GET', '/v2/_zot/ext/quotas');
    assert.equal(answer.status, 200);
    return (jsonOf(answer) as { quotas: { prefix: string }[] }).quotas.map(({ prefix }) => prefix);
  }

  test('to administrators all, to others those of what they may read', async () => {
    assert.deepEqual((await seenBy('root')).toSorted(), ['', 'other', 'team', 'team/app', 'team/web']);
    assert.deepEqual((await seenBy('reader')).toSorted(), ['', 'team', 'team/app']);
    assert.deepEqual(await seenBy('outsider'), []);
  });
});
