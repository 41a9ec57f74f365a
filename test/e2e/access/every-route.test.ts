import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { configFromObject } from '#config';
import { extensions } from '#extensions';
import { ROUTES, SESSION_ROUTES } from '#http';
import { buildInfo } from '#lib/build-info';
import { noHooks } from '#registry';
import type { ExtensionHost } from '#extension';
import { errorOf } from '../support/client.ts';
import type { Answer } from '../support/client.ts';
import { pushImage, pushManifest } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { IMAGE, REFERRER, ROUTE_CASES } from './route-cases.ts';
import type { Need, RouteCase } from './route-cases.ts';
import { as } from './as.ts';
import { CALLERS, authorizationOf, isWorthless, worlds } from './worlds.ts';
import type { Caller, World } from './worlds.ts';

/** Routes of every extension, with everything switched on. */
function extensionRoutes(): string[] {
  const { config } = configFromObject({
    extensions: {
      search: { enable: true },
      ui: { enable: true },
      metrics: { enable: true },
      mgmt: { enable: true },
    },
  });
  const host: ExtensionHost = { config, hooks: noHooks(), buildInfo, routes: [], discovered: [] };
  for (const extension of extensions) extension.start(host);
  return host.routes.map(({ method, url }) => `${method} ${url}`);
}

test('every route has a case, and every case a route', () => {
  const served = [...ROUTES, ...SESSION_ROUTES].map(({ method, url }) => `${method} ${url}`);
  const cases = new Set(ROUTE_CASES.map(({ route }) => route));
  assert.deepEqual([...cases].toSorted(), [...new Set([...served, ...extensionRoutes()])].toSorted());
});

type Expected = 'allowed' | 'unauthorized' | 'denied';

function expectation(world: World, { needs }: RouteCase, caller: Caller): Expected {
  if (needs === 'nothing') return 'allowed';
  if (isOpen(world)) return needs === 'name' ? 'unauthorized' : 'allowed';
  // Two headers are refused wherever somebody is asked who they are.
  if (caller === 'twice' || (isWorthless(caller) && world.hasPasswords)) return 'unauthorized';
  return needsMet(world, needs, world.hasPasswords ? caller : 'nobody');
}

function isOpen({ http }: World): boolean {
  return Object.keys(http).length === 0;
}

function needsMet(world: World, needs: Exclude<Need, 'nothing'>, caller: Caller): Expected {
  const isNobody = caller === 'nobody';
  if (needs === 'name') return isNobody ? 'unauthorized' : 'allowed';
  if (needs === 'entry') return !isNobody || world.admitsNobody ? 'allowed' : 'unauthorized';
  if (world.rightsOf(caller).includes(needs)) return 'allowed';
  return isNobody ? 'unauthorized' : 'denied';
}

function checkAnswer(answer: Answer, expected: Expected, { ok }: RouteCase, isHead: boolean): void {
  assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  if (expected === 'allowed') return assert.equal(answer.status, ok, answer.text);
  assert.equal(answer.status, expected === 'unauthorized' ? 401 : 403, answer.text);
  assert.equal(answer.headers['content-type'], 'application/json');
  if (isHead) return assert.equal(answer.text, '');
  const { code, detail } = errorOf(answer);
  assert.equal(code, expected === 'unauthorized' ? 'UNAUTHORIZED' : 'DENIED');
  assert.equal(typeof detail.description, 'string');
}

function checkChallenge(answer: Answer, expected: Expected, open: boolean): void {
  const challenge = answer.headers['www-authenticate'];
  if (expected === 'allowed' || open) return;
  assert.equal(challenge, 'Basic realm="Authorization Required"');
}

for (const world of worlds()) {
  describe(world.name, () => {
    let root = '';
    let served: Served;

    before(async () => {
      root = await mkdtemp(path.join(tmpdir(), 'zot-access-root-'));
      // What is there from the beginning comes in while nothing is configured.
      const open = await serveRegistry({ root });
      for (const tag of ['v1', 'moving']) await pushImage(open, world.repo, IMAGE, tag);
      await pushManifest(open, world.repo, REFERRER);
      await open.close();
      const storage = { undo: '1h', quotas: [{ prefix: 'elsewhere', maxBytes: '1GiB' }] };
      served = await serveRegistry({ root, http: world.http, storage, ...extensionsOn() });
    });

    after(async () => {
      await served.close();
      await rm(root, { recursive: true, force: true });
    });

    for (const one of ROUTE_CASES) {
      test(`${one.route}: ${one.what}`, async () => {
        if (!isServed(one, world)) return;
        for (const caller of CALLERS) {
          const expected = expectation(world, one, caller);
          const self = as(served, authorizationOf(caller));
          const helper = world.helper === null ? null : as(served, authorizationOf(world.helper));
          const { method, target, ...rest } = await one.request(
            { repo: world.repo, helper, caller: self },
            expected === 'allowed',
          );
          const answer = await self.request(method, target, rest);
          try {
            checkAnswer(answer, expected, one, method === 'HEAD');
            checkChallenge(answer, expected, isOpen(world));
          } catch (error) {
            throw new Error(`${caller}: ${method} ${target} gave ${answer.status}, expected ${expected}`, {
              cause: error,
            });
          }
        }
      });
    }
  });
}

function extensionsOn(): { extensions?: Record<string, unknown> } {
  return { extensions: { search: { enable: true } } };
}

/** Routes of ways to sign in that no world here has; their own suites ask for them. */
const NEVER_SERVED = /\/zot\/auth\/(token|login|callback)/;

test('the header of the web pages changes no answer where nobody can sign in', async () => {
  for (const world of worlds().filter(({ hasPasswords }) => !hasPasswords)) {
    const served = await serveRegistry({ http: world.http, storage: { undo: '1h' }, ...extensionsOn() });
    try {
      for (const target of ['/v2/', '/v2/_catalog', '/v2/_oci/ext/discover', `/v2/${world.repo}/tags/list`]) {
        const plain = await served.request('GET', target);
        const headers = { 'x-zot-api-client': 'zot-ui' };
        const fromPages = await served.request('GET', target, { headers });
        assert.equal(fromPages.status, plain.status, `${world.name}: ${target}`);
      }
    } finally {
      await served.close();
    }
  }
});

/** Routes of keys and sessions exist where these do. */
function isServed({ route }: RouteCase, world: World): boolean {
  return !route.includes('/zot/auth/') || (world.hasPasswords && !NEVER_SERVED.test(route));
}
