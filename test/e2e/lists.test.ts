import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jsonOf, statusAndCode, type Answer } from './support/client.ts';
import { expectStatus, imageOf, pushBlob, pushImage, pushManifest, startUpload } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('lists');
const tags = ['1.0', 'B', '_x', 'a', 'a-b', 'a.b', 'a_b', 'b', 'c'];

before(async () => {
  served = await serveRegistry();
  await pushImage(served, 'list/tags', image, image.manifest.digest);
  for (const tag of ['c', 'a_b', 'b', 'a', '_x', 'B', '1.0', 'a.b', 'a-b']) {
    await pushManifest(served, 'list/tags', image.manifest, tag);
  }
});
after(() => served.close());

const list = (query = ''): Promise<Answer> => served.request('GET', `/v2/list/tags/tags/list${query}`);
const tagsOf = (answer: Answer): readonly string[] => (jsonOf(answer) as { tags: string[] }).tags;
const nextOf = (answer: Answer): string | null =>
  /^<([^>]+)>; rel="next"$/.exec(answer.headers.link?.toString() ?? '')?.[1] ?? null;

test('tags are listed in byte order, with the name', async () => {
  assert.deepEqual(jsonOf(await list()), { name: 'list/tags', tags });
  assert.equal((await list()).headers.link, undefined);
});

test('n bounds the page, and Link leads to the next until the exact last', async () => {
  const first = await list('?n=4');
  assert.deepEqual(tagsOf(first), tags.slice(0, 4));
  assert.equal(first.headers.link, '</v2/list/tags/tags/list?n=4&last=a>; rel="next"');
  const second = await served.request('GET', nextOf(first) ?? '');
  assert.deepEqual(tagsOf(second), tags.slice(4, 8));
  const third = await served.request('GET', nextOf(second) ?? '');
  assert.deepEqual(tagsOf(third), tags.slice(8));
  assert.equal(third.headers.link, undefined);
});

test('a page that holds exactly the rest has no Link', async () => {
  assert.equal((await list(`?n=${tags.length}`)).headers.link, undefined);
  assert.equal((await list(`?n=${tags.length - 1}&last=1.0`)).headers.link, undefined);
  assert.ok((await list(`?n=${tags.length - 1}`)).headers.link);
});

test('last need not exist: what sorts after it follows (zot: 404)', async () => {
  assert.deepEqual(tagsOf(await list('?last=a-bb')), ['a.b', 'a_b', 'b', 'c']);
  assert.deepEqual(tagsOf(await list('?last=zzz')), []);
  assert.deepEqual(tagsOf(await list('?last=')), tags);
  assert.deepEqual(tagsOf(await list('?last=%20&n=1')), ['1.0']);
});

test('n=0 is an empty page without a Link', async () => {
  const answer = await list('?n=0');
  assert.deepEqual(tagsOf(answer), []);
  assert.equal(answer.headers.link, undefined);
});

test('an n that is no number, and parameters given twice, are refused', async () => {
  const queries = [
    '?n=',
    '?n=-1',
    '?n=a',
    '?n=1.5',
    '?n=1e3',
    '?n=9999999999',
    '?n=1&n=2',
    '?last=a&last=b',
    '?n=%00',
  ];
  for (const query of queries) assert.equal(statusAndCode(await list(query)), '400 REQUEST_INVALID', query);
});

test('parameters that nobody knows are ignored', async () => {
  assert.deepEqual(tagsOf(await list('?unknown=1&n=2&__proto__=x&constructor=y')), tags.slice(0, 2));
});

test('a repository nobody pushed to is unknown; one whose tags are deleted has none', async () => {
  assert.equal(statusAndCode(await served.request('GET', '/v2/none/tags/list')), '404 NAME_UNKNOWN');
  await pushImage(served, 'list/bare', image, 'only');
  expectStatus(await served.request('DELETE', '/v2/list/bare/manifests/only'), 202);
  assert.deepEqual(jsonOf(await served.request('GET', '/v2/list/bare/tags/list')), {
    name: 'list/bare',
    tags: [],
  });
});

test('the folder above a repository is none', async () => {
  assert.equal(statusAndCode(await served.request('GET', '/v2/list/tags/list')), '404 NAME_UNKNOWN');
});

test('the catalog lists what holds something, in byte order, and pages exactly', async () => {
  const other = await serveRegistry();
  try {
    const catalog = async (query = ''): Promise<Answer> => other.request('GET', `/v2/_catalog${query}`);
    const reposOf = (answer: Answer): string[] => (jsonOf(answer) as { repositories: string[] }).repositories;
    assert.deepEqual(reposOf(await catalog()), []);
    const repos = ['a', 'a-b', 'a/b', 'a/b/c', 'a0', 'myblobs', 'x.sync', 'z/y'];
    for (const repo of ['z/y', 'a/b/c', 'myblobs', 'a', 'a0', 'a/b', 'x.sync', 'a-b']) {
      await pushImage(other, repo, image, 'v1');
    }
    await startUpload(other, 'upload/only');
    await pushBlob(other, 'blob/only', image.config);
    assert.deepEqual(reposOf(await catalog()), repos);
    const first = await catalog('?n=3');
    assert.deepEqual(reposOf(first), repos.slice(0, 3));
    assert.equal(first.headers.link, '</v2/_catalog?n=3&last=a%2Fb>; rel="next"');
    const second = await other.request('GET', nextOf(first) ?? '');
    assert.deepEqual(reposOf(second), repos.slice(3, 6));
    const third = await other.request('GET', nextOf(second) ?? '');
    assert.deepEqual(reposOf(third), repos.slice(6));
    assert.equal(third.headers.link, undefined);
    assert.equal((await catalog(`?n=${repos.length}`)).headers.link, undefined);
    assert.deepEqual(reposOf(await catalog('?last=a.')), repos.slice(2));
    assert.deepEqual(reposOf(await catalog('?last=zzz')), []);
    assert.deepEqual(reposOf(await catalog('?n=0')), []);
    for (const query of ['?n=-1', '?n=x', '?n=1&n=1']) {
      assert.equal(statusAndCode(await catalog(query)), '400 REQUEST_INVALID');
    }
  } finally {
    await other.close();
  }
});
