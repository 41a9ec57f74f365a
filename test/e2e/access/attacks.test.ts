import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '../support/client.ts';
import {
  contentOf,
  digestOf,
  imageOf,
  manifestOf,
  pushBlob,
  pushImage,
  pushManifest,
  putManifest,
} from '../support/content.ts';
import { descriptorOf, startUpload } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { as } from './as.ts';
import { ROUTE_CASES } from './route-cases.ts';
import { basic, htpasswdOf } from './worlds.ts';

const ALL = ['read', 'create', 'update', 'delete'];
const SECRET = imageOf('secret');
const PUBLIC = imageOf('public');
const SECRET_LAYER = SECRET.layers[0]?.digest ?? '';

const USERS = ['root', 'member', 'pusher', 'pusher2', 'guest', 'keen', 'limited'];

const accessControl = {
  repositories: {
    'team/**': { policies: [{ users: ['member'], actions: ALL }] },
    'pub/**': {
      policies: [
        { users: ['member'], actions: ALL },
        { users: ['pusher', 'pusher2', 'guest'], actions: ['read', 'create'] },
      ],
      anonymousPolicy: ['read'],
    },
    'office/**': {
      policies: [
        {
          users: ['guest'],
          actions: ['read'],
          conditions: [{ expression: "req.client.ip == '10.9.8.7'", message: 'only from the office' }],
        },
      ],
    },
    'tags/**': {
      policies: [
        {
          users: ['pusher'],
          actions: ALL,
          conditions: [{ expression: "req.tag != 'stable'", message: 'stable is made by others' }],
        },
      ],
    },
    'keen/**': {
      policies: [{ users: ['keen'], actions: ['read', 'delete', 'create', 'detectManifestCollision'] }],
    },
  },
  adminPolicy: { users: ['root'], actions: ALL },
};

describe('attacks on access', () => {
  let root = '';
  let served: Served;
  let nobody: Served;
  const user = (name: string): Served => as(served, basic(name));

  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'zot-attack-root-'));
    await start();
    const admin = user('root');
    await pushImage(admin, 'team/app', SECRET, 'v1');
    await pushImage(admin, 'office/app', SECRET, 'v1');
    await pushImage(admin, 'pub/app', PUBLIC, 'v1');
  });

  after(async () => {
    await served.close();
    await rm(root, { recursive: true, force: true });
  });

  async function start(): Promise<void> {
    served = await serveRegistry({
      root,
      http: { auth: { htpasswd: { path: htpasswdOf(USERS) } }, accessControl },
    });
    nobody = served;
  }

  const shown = ({ status, headers, text }: Answer): object => {
    const { date: _date, 'x-request-id': _id, ...rest } = headers;
    return { status, headers: rest, text };
  };

  test('a repository that one may not see answers as one that does not exist, on every route', async () => {
    const cases = ROUTE_CASES.filter(({ route }) => route.includes(':name'));
    assert.ok(cases.length > 20);
    for (const caller of [nobody, user('guest')]) {
      for (const one of cases) {
        const answers: object[] = [];
        for (const repo of ['team/app', 'team/none']) {
          const { method, target, ...rest } = await one.request({ repo, helper: null, caller }, false);
          answers.push(shown(await caller.request(method, target, rest)));
        }
        assert.deepEqual(answers[0], answers[1], `${one.route}: ${one.what}`);
      }
    }
  });

  test('a mount gives nobody what they may not read, with and without a source (CVE-2024-39897)', async () => {
    const pusher = user('pusher');
    for (const from of ['&from=team/app', '', '&from=pub/app', '&from=', '&from=team%2Fapp']) {
      const answer = await pusher.request('POST', `/v2/pub/mine/blobs/uploads/?mount=${SECRET_LAYER}${from}`);
      assert.equal(answer.status, 202, from);
      assert.equal((await pusher.request('HEAD', `/v2/pub/mine/blobs/${SECRET_LAYER}`)).status, 404, from);
    }
    const absent = digestOf('nothing anywhere');
    const [hidden, missing] = await Promise.all(
      [SECRET_LAYER, absent].map((digest) =>
        pusher.request('POST', `/v2/pub/mine/blobs/uploads/?mount=${digest}&from=team/app`),
      ),
    );
    assert.equal(hidden?.status, missing?.status);
    const member = user('member');
    const target = `/v2/pub/members/blobs/uploads/?mount=${SECRET_LAYER}`;
    assert.equal(
      (await member.request('POST', `${target}&from=pub/app`)).status,
      202,
      'only the named source counts',
    );
    assert.equal((await member.request('POST', `${target}&from=team/app`)).status, 201);
    await member.request('DELETE', `/v2/pub/members/blobs/${SECRET_LAYER}`);
    assert.equal((await member.request('POST', target)).status, 201, 'any source that they may read');
    await member.request('DELETE', `/v2/pub/members/blobs/${SECRET_LAYER}`);
  });

  test('blobs and manifests of one repository are not read through another, by HEAD, GET or a range', async () => {
    for (const caller of [nobody, user('pusher'), user('member')]) {
      for (const method of ['HEAD', 'GET']) {
        const headers = { range: 'bytes=0-3' };
        for (const call of [{}, { headers }]) {
          const blob = await caller.request(method, `/v2/pub/app/blobs/${SECRET_LAYER}`, call);
          assert.equal(blob.status, 404);
          const manifest = await caller.request(
            method,
            `/v2/pub/app/manifests/${SECRET.manifest.digest}`,
            call,
          );
          assert.equal(manifest.status, 404);
        }
      }
    }
  });

  test('a manifest that names blobs of a hidden repository is refused, and says nothing about them', async () => {
    const answer = await putManifest(user('pusher'), 'pub/app', SECRET.manifest, 'steal');
    assert.equal(answer.status, 400);
    const invented = manifestOf({ config: descriptorOf(contentOf('{}', 'x/y')), layers: [] });
    assert.equal((await putManifest(user('pusher'), 'pub/app', invented, 'steal')).status, 400);
  });

  test('the catalog shows what one may read, on every page', async () => {
    const catalogOf = async (caller: Served, query = ''): Promise<string[]> => {
      const answer = await caller.request('GET', `/v2/_catalog${query}`);
      assert.doesNotMatch(JSON.stringify(answer.headers), /team|office/);
      return (JSON.parse(answer.text) as { repositories: string[] }).repositories;
    };
    const listed = (await catalogOf(nobody)).filter((repo) => !repo.startsWith('pub/'));
    assert.deepEqual(listed, []);
    for (const query of ['?n=1', '?n=1&last=office/app', '?n=100&last=a', '?last=team']) {
      for (const caller of [nobody, user('guest'), user('limited')]) {
        const repositories = await catalogOf(caller, query);
        assert.ok(
          repositories.every((repo) => repo.startsWith('pub/')),
          query,
        );
      }
    }
    assert.deepEqual(await catalogOf(user('limited')), []);
    const own = await user('member').request('GET', '/v2/_catalog');
    assert.match(own.text, /team\/app/);
  });

  test('a list does not show what a condition refuses', async () => {
    const answer = await user('guest').request('GET', '/v2/_catalog');
    assert.doesNotMatch(answer.text, /office/);
  });

  test('the address of a client is that of its connection, whatever it says of itself', async () => {
    const headers = { 'x-forwarded-for': '10.9.8.7', 'x-real-ip': '10.9.8.7', forwarded: 'for=10.9.8.7' };
    const answer = await user('guest').request('GET', '/v2/office/app/manifests/v1', { headers });
    assert.equal(answer.status, 403);
    assert.match(answer.text, /only from the office/);
  });

  test('a rule is not for names that only begin alike, nor for other spellings of a path', async () => {
    const admin = user('root');
    for (const repo of ['team2/app', 'teamx', 'pubx/app']) await pushImage(admin, repo, SECRET, 'v1');
    for (const repo of ['team2/app', 'teamx', 'pubx/app']) {
      assert.equal((await user('member').request('GET', `/v2/${repo}/manifests/v1`)).status, 403);
      assert.equal((await nobody.request('GET', `/v2/${repo}/tags/list`)).status, 401);
    }
    const tricks: readonly (readonly [string, readonly number[]])[] = [
      ['/v2/pub%2f..%2fteam/app/manifests/v1', [404]],
      ['/v2/pub/..%2fteam/app/manifests/v1', [404]],
      ['/v2/pub%252f..%252fteam/app/manifests/v1', [400, 401]],
      ['/v2/pub/../team/app/manifests/v1', [301]],
      ['/v2//team/app/manifests/v1', [301]],
      ['/v2/TEAM/app/manifests/v1', [400, 401]],
      ['/v2/team/app/manifests/v1/', [404]],
      ['/v2/team/app/manifests/v1%00', [400, 401, 404]],
      ['/V2/team/app/manifests/v1', [404]],
      ['/v2/pub%5c..%5cteam/app/manifests/v1', [404]],
      ['/v2/team/app/manifests/v1?x=/v2/pub/app/manifests/v1', [401]],
      ['/v2/team/app/manifests/v1#/v2/pub', [400, 401, 404]],
    ];
    for (const [target, statuses] of tricks) {
      const answer = await nobody.request('GET', target);
      assert.ok(statuses.includes(answer.status), `${target}: ${answer.status}`);
      assert.doesNotMatch(answer.text, new RegExp(SECRET_LAYER));
    }
  });

  test('pushing over a tag needs update, by whatever way (CVE-2026-31801, zot#4266)', async () => {
    const pusher = user('pusher');
    const fresh = (seed: string) =>
      manifestOf({ config: descriptorOf(PUBLIC.config), layers: [], annotations: { seed } });
    await pushManifest(user('root'), 'pub/app', fresh('latest'), 'latest');
    for (const tag of ['latest', 'v1']) {
      assert.equal((await putManifest(pusher, 'pub/app', fresh(tag), tag)).status, 403, tag);
      const other = fresh(`by digest ${tag}`);
      for (const query of [
        `?tag=${tag}`,
        `?tag=new-1&tag=${tag}`,
        `?tag=${tag}&tag=new-2`,
        `?tag=%20${tag}%20`,
      ]) {
        const answer = await putManifest(pusher, 'pub/app', other, `${other.digest}${query}`);
        assert.equal(answer.status, 403, query);
      }
    }
    const tags = await pusher.request('GET', '/v2/pub/app/tags/list');
    assert.doesNotMatch(tags.text, /new-/, 'a push that is refused makes none of its tags');
    assert.equal((await putManifest(pusher, 'pub/app', PUBLIC.manifest, 'v1')).status, 403, 'the same again');
    const two = fresh('several');
    const several = await putManifest(pusher, 'pub/app', two, `${two.digest}?tag=new-3&tag=new-4`);
    assert.equal(several.status, 201);
  });

  test('a tag with the name of a member that every object has is a tag like any other', async () => {
    const manifest = manifestOf({
      config: descriptorOf(PUBLIC.config),
      layers: [],
      annotations: { seed: 'proto' },
    });
    for (const tag of ['__proto__', 'constructor', 'hasOwnProperty']) {
      assert.equal((await putManifest(user('pusher'), 'pub/app', manifest, tag)).status, 201, tag);
      assert.equal((await putManifest(user('pusher'), 'pub/app', manifest, tag)).status, 403, tag);
    }
  });

  test('of pushes that race for a new tag one makes it, and the others would have moved it', async () => {
    const pushers = [user('pusher'), user('pusher2')];
    for (let round = 0; round < 10; round += 1) {
      const answers = await Promise.all(
        pushers.flatMap((pusher, at) =>
          [0, 1].map((more) => {
            const annotations = { seed: `${round}-${at}-${more}` };
            const manifest = manifestOf({ config: descriptorOf(PUBLIC.config), layers: [], annotations });
            const reference = more === 0 ? `race-${round}` : `${manifest.digest}?tag=race-${round}`;
            return putManifest(pusher, 'pub/app', manifest, reference);
          }),
        ),
      );
      const made = answers.filter(({ status }) => status === 201);
      const refused = answers.filter(({ status }) => status === 403);
      assert.deepEqual([made.length, refused.length], [1, 3]);
    }
  });

  test('a condition on the tag holds for tags that come as parameters', async () => {
    const pusher = user('pusher');
    await pushBlob(pusher, 'tags/app', PUBLIC.config);
    const manifest = manifestOf({ config: descriptorOf(PUBLIC.config), layers: [] });
    for (const reference of [
      'stable',
      `${manifest.digest}?tag=stable`,
      `${manifest.digest}?tag=x&tag=stable`,
    ]) {
      const answer = await putManifest(pusher, 'tags/app', manifest, reference);
      assert.equal(answer.status, 403, reference);
      assert.match(answer.text, /stable is made by others/);
    }
    assert.equal((await putManifest(pusher, 'tags/app', manifest, `${manifest.digest}?tag=x`)).status, 201);
  });

  test('an upload is for whoever began it, in its repository, also after a restart (CVE-2026-32589)', async () => {
    const blob = contentOf('of one upload', 'application/octet-stream');
    const target = await startUpload(user('pusher'), 'pub/app');
    await user('pusher').request('PATCH', target, { body: blob.bytes.subarray(0, 4) });
    const others = async (path: string, callers: readonly Served[]): Promise<void> => {
      for (const caller of callers) {
        for (const [method, query, body] of [
          ['GET', '', undefined],
          ['PATCH', '', 'x'],
          ['PUT', `?digest=${blob.digest}`, 'x'],
          ['DELETE', '', undefined],
        ] as const) {
          const answer = await caller.request(method, path + query, body === undefined ? {} : { body });
          assert.equal(answer.status, 404, `${method} ${path}`);
        }
      }
    };
    await others(target, [user('pusher2'), user('root'), user('member')]);
    await others(target.replace('pub/app', 'pub/other'), [user('pusher'), user('pusher2')]);
    await served.close();
    await start();
    await others(target, [user('pusher2'), user('root')]);
    const rest = { body: blob.bytes.subarray(4) };
    const answer = await user('pusher').request('PUT', `${target}?digest=${blob.digest}`, rest);
    assert.equal(answer.status, 201, answer.text);
  });

  test('a manifest with several tags is kept from those who are to be warned', async () => {
    const admin = user('root');
    const image = imageOf('collision');
    for (const tag of ['a', 'b']) await pushImage(admin, 'keen/app', image, tag);
    const target = `/v2/keen/app/manifests/${image.manifest.digest}`;
    assert.equal((await user('keen').request('DELETE', target)).status, 409);
    assert.equal((await user('keen').request('DELETE', '/v2/keen/app/manifests/b')).status, 202);
    assert.equal((await user('keen').request('DELETE', target)).status, 202);
  });

  test('scripts of the UI get no challenge; a registry without sign-in takes their header calmly', async () => {
    const headers = { 'x-zot-api-client': 'zot-ui' };
    const answer = await nobody.request('GET', '/v2/team/app/manifests/v1', { headers });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['www-authenticate'], undefined);
  });

  test('Docker is asked for credentials at the door where some repositories are private', async () => {
    const docker = { 'user-agent': 'docker/27.0 go/go1.22' };
    for (const target of ['/v2/', '/v2/?x']) {
      assert.equal((await nobody.request('GET', target, { headers: docker })).status, 401);
      const plain = await nobody.request('GET', target);
      assert.equal(plain.status, 200);
      assert.equal(plain.headers['www-authenticate'], 'Basic realm="Authorization Required"');
    }
    const signedIn = await user('guest').request('GET', '/v2/', { headers: docker });
    assert.equal(signedIn.status, 200);
  });

  test('neither answers nor the log show a credential', async () => {
    await user('guest').request('GET', '/v2/team/app/manifests/v1?token=tell-nobody');
    const lines = JSON.stringify(await served.logLines());
    assert.doesNotMatch(lines, /-secret|tell-nobody/);
    assert.doesNotMatch(lines, new RegExp(basic('guest').slice(6)));
    assert.match(lines, /"username":"guest"/);
  });
});
