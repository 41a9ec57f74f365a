/** A storage folder that zot wrote is served, collected, checked and shared rightly, and what is zot's own stays so. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runZot } from '../../support/run-zot.ts';
import { seenByZot } from '../../support/zot-folder/zot-hand.ts';
import type { Content, ZotHand } from '../../support/zot-folder/zot-hand.ts';
import { OWN_FILES, attachedTag, fillAsZot, shapes } from '../../support/zot-folder/zot-shapes.ts';
import { jsonOf } from '../support/client.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';

const { web, arm, old, multi, signature, referrer, staleSignature, staleReferrer, orphan, odd } = shapes;
const sigTag = attachedTag(web, 'sig');

let folder = '';
let root = '';
let subRoot = '';
let hand: ZotHand;

async function fill(): Promise<void> {
  folder = await mkdtemp(path.join(tmpdir(), 'zot-of-zot-'));
  root = path.join(folder, 'data');
  subRoot = path.join(folder, 'infra');
  hand = await fillAsZot(root, subRoot);
}

const storage = () => ({ subPaths: { '/infra': { rootDirectory: subRoot } } });

async function serving(run: (served: Served) => Promise<void>): Promise<void> {
  const served = await serveRegistry({ root, storage: storage() });
  try {
    await run(served);
  } finally {
    await served.close();
  }
}

async function requirePulled(
  served: Served,
  repo: string,
  reference: string,
  content: Content,
): Promise<void> {
  const answer = await served.request('GET', `/v2/${repo}/manifests/${reference}`);
  assert.equal(answer.status, 200, `${repo}:${reference} ${answer.text}`);
  assert.deepEqual(answer.body, content.bytes);
  assert.equal(answer.headers['content-type'], content.mediaType);
}

const tagsOf = async (served: Served, repo: string): Promise<unknown> =>
  (jsonOf(await served.request('GET', `/v2/${repo}/tags/list`)) as { tags: unknown }).tags;
const contents = () => Promise.all(OWN_FILES.map((name) => readFile(path.join(root, name), 'utf8')));

describe('a folder of zot', { timeout: 120_000 }, () => {
  before(fill);
  after(() => rm(folder, { recursive: true }));

  test('is served: tags, digests, children, referrers, signatures, shared and empty blobs', async () => {
    await serving(async (served) => {
      assert.deepEqual(await tagsOf(served, 'team/web'), ['latest', 'multi', sigTag, 'v1'].toSorted());
      for (const tag of ['v1', 'latest']) await requirePulled(served, 'team/web', tag, web.manifest);
      await requirePulled(served, 'team/web', 'multi', multi);
      await requirePulled(served, 'team/web', sigTag, signature.manifest);
      for (const { manifest } of [web, arm, old, referrer])
        await requirePulled(served, 'team/web', manifest.digest, manifest);
      const target = `/v2/team/web/referrers/${web.manifest.digest}`;
      const referrers = jsonOf(await served.request('GET', target)) as { manifests: { digest: string }[] };
      assert.deepEqual(
        referrers.manifests.map(({ digest }) => digest),
        [referrer.manifest.digest],
      );
      for (const repo of ['team/web', 'team/web/nested', 'infra/tool']) {
        await requirePulled(served, repo, 'v1', web.manifest);
        for (const { digest, bytes } of web.blobs)
          assert.deepEqual((await served.request('GET', `/v2/${repo}/blobs/${digest}`)).body, bytes);
      }
      const empty = await served.request('GET', `/v2/team/web/blobs/${shapes.nothing.digest}`);
      assert.deepEqual([empty.status, empty.body.length], [200, 0]);
      await requirePulled(served, 'odd', 'strange', odd);
      assert.equal((await served.request('GET', '/v2/team/stale/manifests/dead')).status, 404);
      const { repositories } = jsonOf(await served.request('GET', '/v2/_catalog')) as {
        repositories: string[];
      };
      for (const repo of ['team/web', 'team/web/nested', 'infra/tool', 'odd'])
        assert.ok(repositories.includes(repo));
    });
  });

  test('is checked: what is wrong with it is named, and nothing else', async () => {
    const { exitCode, text } = await runZot('check', root, '--deep', '--json');
    const { findings } = JSON.parse(text) as {
      findings: { repository: string; digest: string; severity: string }[];
    };
    const damage = findings.filter(({ severity }) => severity === 'damage');
    assert.deepEqual(
      damage.map(({ repository, digest }) => [repository, digest]),
      [['team/stale', shapes.lost.manifest.digest]],
    );
    assert.equal(exitCode, 1);
  });

  test('is collected: garbage goes, and what is needed or cannot be read stays', async () => {
    const before = await contents();
    const configFile = path.join(folder, 'config.json');
    const policies = [{ repositories: ['**'], deleteReferrers: true }];
    const store = { gc: true, gcDelay: '1ms', retention: { delay: '1ms', policies } };
    const config = {
      storage: {
        rootDirectory: root,
        ...store,
        subPaths: { '/infra': { rootDirectory: subRoot, ...store } },
      },
      http: { address: '127.0.0.1', port: '0' },
    };
    await writeFile(configFile, JSON.stringify(config));
    // The second one takes what was noted by the first, and what it let go.
    for (let round = 0; round < 3; round += 1) {
      const { exitCode, errors } = await runZot('gc', configFile, '--full');
      assert.equal(exitCode, 0, errors);
    }
    const isThere = (repo: string, { digest }: Content): boolean => existsSync(hand.fileOf(repo, digest));
    for (const content of [orphan, old.manifest, old.blobs[2]])
      assert.equal(content !== undefined && isThere('team/web', content), false);
    for (const { manifest, blobs } of [web, arm, signature, referrer])
      for (const content of [manifest, ...blobs]) assert.ok(isThere('team/web', content), content.digest);
    for (const { manifest } of [staleSignature, staleReferrer])
      assert.equal(isThere('team/stale', manifest), false);
    assert.ok(isThere('odd', odd));
    for (const repo of ['team/web', 'team/web/nested', 'team/stale']) {
      const { faults } = await seenByZot(root, repo);
      assert.deepEqual(faults, [], repo);
    }
    const { tags, manifests } = await seenByZot(root, 'team/web');
    assert.deepEqual(Object.keys(tags).toSorted(), ['latest', 'multi', sigTag, 'v1'].toSorted());
    const kept = [web, arm, signature, referrer].map(({ manifest }) => manifest.digest).concat(multi.digest);
    assert.deepEqual(manifests, kept.toSorted());
    assert.deepEqual((await seenByZot(root, 'team/stale')).tags, { v1: web.manifest.digest });
    assert.deepEqual((await seenByZot(subRoot, 'infra/tool')).faults, []);
    assert.equal(existsSync(path.join(root, 'begun')), false, 'a repository that holds nothing');
    assert.deepEqual(await contents(), before);
  });

  test('is scrubbed: all that is left is sound', async () => {
    const { exitCode, text, errors } = await runZot('scrub', path.join(folder, 'config.json'), '--json');
    assert.equal(exitCode, 0, errors);
    const { affectedImages, damage } = JSON.parse(text) as { affectedImages: object[]; damage: object[] };
    assert.deepEqual([affectedImages, damage], [[], []]);
  });

  test('keeps its shared files shared, and one that is damaged is named everywhere', async () => {
    const names = ['team/web', 'team/web/nested', 'team/stale'].map((repo) =>
      hand.fileOf(repo, shapes.base.digest),
    );
    const inodes = await Promise.all(names.map(async (name) => (await stat(name)).ino));
    assert.equal(new Set(inodes).size, 1);
    // Cut off, as a write in place that a crash met: all names of the file.
    await truncate(names[0] ?? '', 10);
    const { text } = await runZot('check', root, '--json');
    const { findings } = JSON.parse(text) as { findings: { repository: string; digest: string }[] };
    const named = findings.filter(({ digest }) => digest === shapes.base.digest);
    assert.deepEqual(
      named.map(({ repository }) => repository).toSorted(),
      ['team/stale', 'team/web', 'team/web/nested'].toSorted(),
    );
    await serving(async (served) => {
      const target = `/v2/team/web/blobs/${shapes.base.digest}`;
      assert.equal((await served.request('GET', target)).status, 404, 'never served as if it were whole');
      const push = `/v2/team/web/blobs/uploads/?digest=${shapes.base.digest}`;
      const headers = {
        'content-type': 'application/octet-stream',
        'content-length': shapes.base.bytes.length,
      };
      const answer = await served.request('POST', push, { headers, body: shapes.base.bytes });
      assert.equal(answer.status, 201);
      assert.deepEqual((await served.request('GET', target)).body, shapes.base.bytes);
    });
    // What another repository has whole is mended; what was cut off here alone is named.
    await truncate(hand.fileOf('team/web', web.manifest.digest), 10);
    await truncate(hand.fileOf('team/web', signature.blobs[1]?.digest ?? ''), 3);
    const scrubbed = await runZot('scrub', root, '--json');
    assert.equal(scrubbed.exitCode, 2);
    const { affectedImages } = JSON.parse(scrubbed.text) as { affectedImages: { tag: string }[] };
    assert.deepEqual(
      affectedImages.map(({ tag }) => tag),
      [sigTag],
    );
    assert.deepEqual(await readFile(hand.fileOf('team/web', web.manifest.digest)), web.manifest.bytes);
  });
});
