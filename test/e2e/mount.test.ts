import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { statusAndCode, type Answer } from './support/client.ts';
import { contentOf, digestOf, imageOf, pushBlob, pushImage } from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('mount');
const layer = image.layers[0];
assert.ok(layer);
const { digest, bytes } = layer;

before(async () => {
  served = await serveRegistry();
  await pushImage(served, 'source', image, 'latest');
});
after(() => served.close());

const mount = (repo: string, query: string): Promise<Answer> =>
  served.request('POST', `/v2/${repo}/blobs/uploads/?${query}`);

async function assertMounted(answer: Answer, repo: string): Promise<void> {
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers.location, `/v2/${repo}/blobs/${digest}`);
  assert.equal(answer.headers['docker-content-digest'], digest);
  const pulled = await served.request('GET', `/v2/${repo}/blobs/${digest}`);
  assert.ok(pulled.body.equals(bytes));
}

/** The client is asked to upload instead: a session has begun. */
function assertSession(answer: Answer, repo: string): void {
  assert.equal(answer.status, 202, answer.text);
  assert.match(answer.headers.location ?? '', new RegExp(`^/v2/${repo}/blobs/uploads/[0-9a-f-]{36}$`));
}

test('a blob is mounted from the repository that holds it', async () => {
  await assertMounted(await mount('target/a', `mount=${digest}&from=source`), 'target/a');
});

test('without a source any repository that holds it will do', async () => {
  await assertMounted(await mount('target/b', `mount=${digest}`), 'target/b');
  await assertMounted(await mount('target/c', `mount=${digest}&from=`), 'target/c');
});

test('percent-encoded parameters are read', async () => {
  const query = `mount=${encodeURIComponent(digest)}&from=${encodeURIComponent('target/a')}`;
  await assertMounted(await mount('target/d', query), 'target/d');
});

test('a repository mounts from itself what it has', async () => {
  await assertMounted(await mount('source', `mount=${digest}&from=source`), 'source');
});

test('what cannot be mounted begins an upload', async () => {
  const missing = digestOf('missing');
  const queries = [
    `mount=${digest}&from=none`,
    `mount=${digest}&from=source/below`,
    `mount=${digest}&from=NOT-A-NAME`,
    `mount=${digest}&from=..%2Fsource`,
    `mount=${missing}&from=source`,
    `mount=${missing}`,
    'mount=sha256:short&from=source',
    'mount=&from=source',
    'mount=latest',
    'from=source',
  ];
  for (const query of queries) assertSession(await mount('target/e', query), 'target/e');
});

test('a parameter that is given twice is refused', async () => {
  for (const query of [`mount=${digest}&mount=${digest}`, `mount=${digest}&from=source&from=source`]) {
    assert.equal(statusAndCode(await mount('target/f', query)), '400 REQUEST_INVALID');
  }
  assert.deepEqual(
    (await filesBelow(served.root)).filter((name) => name.startsWith('target/f')),
    [],
  );
});

test('a mount shares nothing that a deletion in the source takes away', async () => {
  const other = contentOf('mounted, then deleted', 'application/octet-stream');
  await pushBlob(served, 'away', other);
  assert.equal((await mount('stays', `mount=${other.digest}&from=away`)).status, 201);
  assert.equal((await served.request('DELETE', `/v2/away/blobs/${other.digest}`)).status, 202);
  const pulled = await served.request('GET', `/v2/stays/blobs/${other.digest}`);
  assert.ok(pulled.body.equals(other.bytes));
  assertSession(await mount('late', `mount=${other.digest}&from=away`), 'late');
});

test('HEAD and GET of a blob that only another repository holds link nothing (zot: HEAD does)', async () => {
  const before = await filesBelow(served.root);
  for (const method of ['HEAD', 'GET']) {
    const answer = await served.request(method, `/v2/never/pushed/blobs/${digest}`);
    assert.equal(answer.status, 404);
  }
  assert.deepEqual(await filesBelow(served.root), before);
});

test('a manifest may use what was mounted', async () => {
  for (const blob of [image.config, layer]) {
    assert.equal((await mount('whole', `mount=${blob.digest}&from=source`)).status, 201);
  }
  const put = await served.request('PUT', '/v2/whole/manifests/latest', {
    headers: { 'content-type': image.manifest.mediaType },
    body: image.manifest.bytes,
  });
  assert.equal(put.status, 201, put.text);
});
