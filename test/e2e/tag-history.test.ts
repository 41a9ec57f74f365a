/** `GET /v2/<name>/_oci/tag-history/<tag>`, and what a client sees of undo and of immutable tags. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jsonOf, statusAndCode, type Answer } from './support/client.ts';
import { OCI_INDEX, imageOf, pushImage, type Image } from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
before(async () => {
  const immutableTags = [{ repositories: ['release/**'], tags: ['^v\\d'], exclude: ['-rc$'] }];
  served = await serveRegistry({ storage: { undo: '1h', immutableTags } });
});
after(() => served.close());

interface Entry {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

const ANNOTATION = 'org.opencontainers.distribution.tag';
const put = (repo: string, image: Image, tag: string): Promise<Answer> =>
  served.request('PUT', `/v2/${repo}/manifests/${tag}`, {
    headers: { 'content-type': image.manifest.mediaType },
    body: image.manifest.bytes,
  });

async function history(target: string): Promise<{ answer: Answer; entries: readonly Entry[] }> {
  const answer = await served.request('GET', target);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['content-type'], OCI_INDEX);
  const { schemaVersion, mediaType, manifests } = jsonOf(answer) as {
    schemaVersion: number;
    mediaType: string;
    manifests: Entry[];
  };
  assert.deepEqual([schemaVersion, mediaType], [2, OCI_INDEX]);
  return { answer, entries: manifests };
}

const told = (entries: readonly Entry[]): string[] =>
  entries.map(({ digest, annotations }) => `${annotations[`${ANNOTATION}.event`]} ${digest}`);
const timeOf = ({ annotations }: Entry): string => annotations[`${ANNOTATION}.timestamp`] ?? '';

test('the history of a tag lists what it named and when it was deleted, the newest first', async () => {
  const [one, two] = [imageOf('one'), imageOf('two')];
  await pushImage(served, 'team/app', one, 'latest');
  await pushImage(served, 'team/app', two, 'latest');
  assert.equal((await served.request('DELETE', '/v2/team/app/manifests/latest')).status, 202);
  await pushImage(served, 'team/app', one, 'latest');
  const { entries } = await history('/v2/team/app/_oci/tag-history/latest');
  assert.deepEqual(told(entries), [
    `created ${one.manifest.digest}`,
    `deleted ${two.manifest.digest}`,
    `created ${two.manifest.digest}`,
    `created ${one.manifest.digest}`,
  ]);
  const [first] = entries;
  assert.deepEqual([first?.mediaType, first?.size], [one.manifest.mediaType, one.manifest.bytes.length]);
  const times = entries.map(timeOf);
  assert.deepEqual(times, times.toSorted().toReversed());
  assert.equal(new Set(times).size, times.length);
});

test('pages follow the Link header, or the time of the last entry', async () => {
  for (let at = 0; at < 5; at += 1) await pushImage(served, 'paged', imageOf(`page ${at}`), 'v');
  const all = (await history('/v2/paged/_oci/tag-history/v')).entries;
  assert.equal(all.length, 5);
  const linked: Entry[] = [];
  for (let target: string | null = '/v2/paged/_oci/tag-history/v?n=2'; target !== null;) {
    const { answer, entries } = await history(target);
    linked.push(...entries);
    const link: string = String(answer.headers.link ?? '');
    assert.ok(link === '' || link.endsWith('; rel="next"'));
    target = link === '' ? null : link.slice(1, link.indexOf('>'));
  }
  assert.deepEqual(linked, all);
  const before = encodeURIComponent(timeOf(all[1] as Entry));
  const since = encodeURIComponent(timeOf(all[4] as Entry));
  const some = await history(`/v2/paged/_oci/tag-history/v?before=${before}&since=${since}`);
  assert.deepEqual(some.entries, all.slice(2, 4));
  const none = await history('/v2/paged/_oci/tag-history/v?n=0');
  assert.deepEqual([none.entries, none.answer.headers.link], [[], undefined]);
  const { digest } = all[3] as Entry;
  const ofOne = await history(`/v2/paged/_oci/tag-history/v?digest=${digest}`);
  assert.deepEqual(ofOne.entries, [all[3]]);
});

test('what was never there has no history, which is no error', async () => {
  assert.deepEqual((await history('/v2/paged/_oci/tag-history/absent')).entries, []);
  assert.deepEqual((await history('/v2/never/was/_oci/tag-history/absent')).entries, []);
});

test('malformed questions are refused', async () => {
  for (const query of ['n=x', 'n=-1', 'n=1&n=2', 'before=yesterday', 'since=2026-01-01', 'digest=sha256:0']) {
    const answer = await served.request('GET', `/v2/paged/_oci/tag-history/v?${query}`);
    assert.equal(answer.status, 400, query);
  }
  for (const time of ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.123456Z', '2026-01-01T02:00:00%2B02:00'])
    await history(`/v2/paged/_oci/tag-history/v?since=${time}`);
});

test('the discovery route names it where it is on', async () => {
  const list = async (of: Served): Promise<string> => (await of.request('GET', '/v2/_oci/ext/discover')).text;
  assert.match(await list(served), /\/_oci\/tag-history\//);
  const plain = await serveRegistry();
  try {
    assert.doesNotMatch(await list(plain), /tag-history/);
    const answer = await plain.request('GET', '/v2/r/_oci/tag-history/latest');
    assert.equal(answer.status, 404);
  } finally {
    await plain.close();
  }
});

test('a deleted digest is 404 at once, and so is a blob that is deleted', async () => {
  const image = imageOf('deleted at once');
  const { digest } = image.manifest;
  await pushImage(served, 'gone', image, 'v');
  assert.equal((await served.request('DELETE', `/v2/gone/manifests/${digest}`)).status, 202);
  for (const target of [`manifests/${digest}`, `blobs/${digest}`, 'manifests/v'])
    assert.equal((await served.request('GET', `/v2/gone/${target}`)).status, 404, target);
  const layer = image.layers[0]?.digest ?? '';
  assert.equal((await served.request('DELETE', `/v2/gone/blobs/${layer}`)).status, 202);
  assert.equal((await served.request('HEAD', `/v2/gone/blobs/${layer}`)).status, 404);
  // A client that finds it absent uploads it again.
  await pushImage(served, 'gone', image, 'v');
  for (const target of [`manifests/${digest}`, `blobs/${layer}`])
    assert.equal((await served.request('GET', `/v2/gone/${target}`)).status, 200, target);
});

test('an immutable tag is pushed once', async () => {
  const [one, two] = [imageOf('release one'), imageOf('release two')];
  await pushImage(served, 'release/app', one, 'v1');
  await pushImage(served, 'release/app', one, 'v1');
  await pushImage(served, 'release/app', two, 'other');
  const refused = await put('release/app', two, 'v1');
  assert.equal(statusAndCode(refused), '409 DENIED');
  assert.match(refused.text, new RegExp(`v1 is immutable and names ${one.manifest.digest}`));
  // One push of several tags is refused as a whole.
  const target = `${two.manifest.digest}?tag=v2&tag=v1`;
  assert.equal(statusAndCode(await put('release/app', two, target)), '409 DENIED');
  assert.equal((await served.request('GET', '/v2/release/app/manifests/v2')).status, 404);
  for (const reference of ['v1', one.manifest.digest]) {
    const answer = await served.request('DELETE', `/v2/release/app/manifests/${reference}`);
    assert.equal(statusAndCode(answer), '409 DENIED', reference);
  }
  for (const tag of ['v1-rc', 'latest'])
    for (const image of [one, two]) await pushImage(served, 'release/app', image, tag);
  await pushImage(served, 'elsewhere', one, 'v1');
  await pushImage(served, 'elsewhere', two, 'v1');
});
