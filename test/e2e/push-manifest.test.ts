import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorOf, jsonOf, statusAndCode } from './support/client.ts';
import {
  contentOf,
  descriptorOf,
  digestOf,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  expectStatus,
  imageOf,
  indexOf,
  manifestOf,
  OCI_EMPTY,
  pushBlob,
  pushImage,
  pushManifest,
  putManifest,
} from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
before(async () => {
  served = await serveRegistry({ http: { compat: ['docker2s2'] } });
});
after(() => served.close());

const pull = (repo: string, reference: string) => served.request('GET', `/v2/${repo}/manifests/${reference}`);

test('a push by tag answers with the place and digest', async () => {
  const image = imageOf('by tag');
  for (const blob of [image.config, ...image.layers]) await pushBlob(served, 'tag', blob);
  const answer = await putManifest(served, 'tag', image.manifest, 'v1');
  assert.equal(answer.status, 201);
  assert.equal(answer.headers.location, `/v2/tag/manifests/${image.manifest.digest}`);
  assert.equal(answer.headers['docker-content-digest'], image.manifest.digest);
  assert.equal(answer.body.length, 0);
  assert.deepEqual((await pull('tag', 'v1')).body, image.manifest.bytes);
});

test('a push by digest keeps its algorithm; both digests of the same bytes live apart', async () => {
  const image = imageOf('by digest');
  const wide = digestOf(image.manifest.bytes, 'sha512');
  await pushImage(served, 'digest', image, image.manifest.digest);
  const answer = await pushManifest(served, 'digest', image.manifest, wide);
  assert.equal(answer.headers['docker-content-digest'], wide);
  assert.equal((await pull('digest', wide)).headers['docker-content-digest'], wide);
  expectStatus(await served.request('DELETE', `/v2/digest/manifests/${wide}`), 202);
  assert.equal((await pull('digest', wide)).status, 404);
  assert.equal((await pull('digest', image.manifest.digest)).status, 200);
});

test('the same push again answers the same', async () => {
  const image = imageOf('again');
  await pushImage(served, 'again', image, 'v1');
  await pushImage(served, 'again', image, 'v1');
  assert.deepEqual(jsonOf(await served.request('GET', '/v2/again/tags/list')), {
    name: 'again',
    tags: ['v1'],
  });
});

test('a tag moves, and the digest that it left is still pulled (zot: 404)', async () => {
  const [old, next] = [imageOf('old'), imageOf('next')];
  await pushImage(served, 'move', old, 'latest');
  await pushImage(served, 'move', next, 'latest');
  assert.deepEqual((await pull('move', 'latest')).body, next.manifest.bytes);
  assert.deepEqual((await pull('move', old.manifest.digest)).body, old.manifest.bytes);
});

test('a tag may move from an image to an index and back', async () => {
  const image = imageOf('kinds');
  await pushImage(served, 'kinds', image, 'latest');
  const index = indexOf([descriptorOf(image.manifest)]);
  await pushManifest(served, 'kinds', index, 'latest');
  assert.equal((await pull('kinds', 'latest')).headers['content-type'], index.mediaType);
  await pushManifest(served, 'kinds', image.manifest, 'latest');
  assert.equal((await pull('kinds', index.digest)).status, 200);
});

test('parameters of the content type are left out (distribution-spec; zot: 415)', async () => {
  const image = imageOf('parameters');
  for (const blob of [image.config, ...image.layers]) await pushBlob(served, 'type', blob);
  for (const type of [`${image.manifest.mediaType}; charset=utf-8`, image.manifest.mediaType.toUpperCase()]) {
    const answer = await served.request('PUT', '/v2/type/manifests/v1', {
      headers: { 'content-type': type },
      body: image.manifest.bytes,
    });
    assert.equal(answer.status, 201, answer.text);
  }
  assert.equal((await pull('type', 'v1')).headers['content-type'], image.manifest.mediaType);
});

test('a push by digest sets up to 46 tags at once, and names them', async () => {
  const image = imageOf('tags');
  await pushImage(served, 'tags', image, image.manifest.digest);
  const tags = Array.from({ length: 46 }, (_, at) => `t${String(at).padStart(2, '0')}`);
  const target = (list: readonly string[]): string =>
    `${image.manifest.digest}?${list.map((tag) => `tag=${tag}`).join('&')}`;
  const answer = await pushManifest(served, 'tags', image.manifest, target(tags));
  const named = answer.rawHeaders.filter((_, at, all) => all[at - 1]?.toLowerCase() === 'oci-tag');
  assert.deepEqual(named, tags);
  assert.deepEqual(jsonOf(await served.request('GET', '/v2/tags/tags/list')), { name: 'tags', tags });
  const over = await putManifest(served, 'tags', image.manifest, target([...tags, 'one-more']));
  assert.equal(statusAndCode(over), '414 MANIFEST_INVALID');
  const twice = await pushManifest(served, 'tags', image.manifest, target(['x', 'y', 'x']));
  assert.equal(twice.headers['oci-tag'], 'x, y');
});

test('tag parameters are checked, and go with a digest only', async () => {
  const image = imageOf('tag parameters');
  await pushImage(served, 'checked', image, 'v1');
  for (const bad of ['.x', '-x', 'a/b', 'a b', '', 'x'.repeat(129), 'a:b', '%0d%0aX: y']) {
    const reference = `${image.manifest.digest}?tag=good&tag=${encodeURIComponent(bad)}`;
    const answer = await putManifest(served, 'checked', image.manifest, reference);
    assert.equal(statusAndCode(answer), '400 MANIFEST_INVALID', bad);
  }
  const byTag = await putManifest(served, 'checked', image.manifest, 'v2?tag=v3');
  assert.equal(statusAndCode(byTag), '400 MANIFEST_INVALID');
  assert.deepEqual(jsonOf(await served.request('GET', '/v2/checked/tags/list')), {
    name: 'checked',
    tags: ['v1'],
  });
});

test('a subject is named in the answer, there or not', async () => {
  const image = imageOf('subject');
  await pushImage(served, 'subject', image, 'v1');
  for (const subject of [image.manifest, contentOf('absent', image.manifest.mediaType)]) {
    const referrer = imageOf(`referrer ${subject.digest}`, { subject: descriptorOf(subject) });
    for (const blob of [referrer.config, ...referrer.layers]) await pushBlob(served, 'subject', blob);
    const answer = await pushManifest(served, 'subject', referrer.manifest);
    assert.equal(answer.headers['oci-subject'], subject.digest);
  }
  const index = indexOf([descriptorOf(image.manifest)], { subject: descriptorOf(image.manifest) });
  const answer = await pushManifest(served, 'subject', index);
  assert.equal(answer.headers['oci-subject'], image.manifest.digest);
});

test('artifacts: the empty descriptor, no layers, unknown members and config types', async () => {
  const empty = contentOf('{}', OCI_EMPTY);
  const odd = contentOf('anything', 'application/vnd.example.config');
  await pushBlob(served, 'artifact', empty);
  await pushBlob(served, 'artifact', odd);
  const manifests = [
    manifestOf({
      artifactType: 'application/vnd.example',
      config: descriptorOf(empty),
      layers: [descriptorOf(empty)],
    }),
    manifestOf({ config: descriptorOf(odd), layers: [] }),
    manifestOf({ config: { ...descriptorOf(empty), data: 'e30=' }, layers: [], unknown: { a: [1, null] } }),
  ];
  for (const manifest of manifests) {
    await pushManifest(served, 'artifact', manifest);
    assert.deepEqual((await pull('artifact', manifest.digest)).body, manifest.bytes);
  }
});

test('nested indexes, an empty index, and an index of the same image twice', async () => {
  const image = imageOf('nested');
  await pushImage(served, 'nested', image, image.manifest.digest);
  const inner = indexOf([descriptorOf(image.manifest), descriptorOf(image.manifest)]);
  const outer = indexOf([descriptorOf(inner)]);
  for (const index of [inner, outer, indexOf([])]) await pushManifest(served, 'nested', index);
  assert.deepEqual((await pull('nested', outer.digest)).body, outer.bytes);
});

test('a BuildKit cache index lists layers and a config beside each other', async () => {
  const layer = contentOf('cached layer', 'application/vnd.oci.image.layer.v1.tar+gzip');
  const config = contentOf('{"layers":[]}', 'application/vnd.buildkit.cacheconfig.v0');
  for (const blob of [layer, config]) await pushBlob(served, 'cache', blob);
  const index = indexOf([descriptorOf(layer), descriptorOf(config)]);
  await pushManifest(served, 'cache', index, 'buildcache');
  assert.deepEqual((await pull('cache', 'buildcache')).body, index.bytes);
  // Layers are blobs also when an index lists them.
  assert.equal((await pull('cache', layer.digest)).status, 404);
});

test('a child that was uploaded as a blob is pulled as a manifest once an index lists it', async () => {
  const image = imageOf('adopted');
  for (const blob of [image.config, ...image.layers, image.manifest]) await pushBlob(served, 'adopted', blob);
  assert.equal((await pull('adopted', image.manifest.digest)).status, 404);
  await pushManifest(served, 'adopted', indexOf([descriptorOf(image.manifest)]), 'multi');
  const child = await pull('adopted', image.manifest.digest);
  assert.equal(child.headers['content-type'], image.manifest.mediaType);
  assert.deepEqual(child.body, image.manifest.bytes);
});

test('layers that may not be distributed need not be there; the others must', async () => {
  const types = [
    'application/vnd.oci.image.layer.nondistributable.v1.tar',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ];
  for (const type of types) {
    const foreign = contentOf('not here', type);
    const image = imageOf('foreign');
    const layers = [descriptorOf(foreign, { urls: ['https://example.com/layer'] })];
    const manifest = manifestOf({ config: descriptorOf(image.config), layers });
    await pushBlob(served, 'foreign', image.config);
    await pushManifest(served, 'foreign', manifest);
  }
});

test('Docker’s types are taken and served where docker2s2 is on', async () => {
  const image = imageOf('docker');
  const config = contentOf(image.config.bytes, 'application/vnd.docker.container.image.v1+json');
  const layer = contentOf('docker layer', 'application/vnd.docker.image.rootfs.diff.tar.gzip');
  for (const blob of [config, layer]) await pushBlob(served, 'docker', blob);
  const members = { config: descriptorOf(config), layers: [descriptorOf(layer)] };
  const manifest = manifestOf(members, DOCKER_MANIFEST);
  await pushManifest(served, 'docker', manifest, 'v1');
  const list = manifestOf({ manifests: [descriptorOf(manifest)] }, DOCKER_LIST);
  await pushManifest(served, 'docker', list, 'list');
  assert.equal((await pull('docker', 'list')).headers['content-type'], DOCKER_LIST);
  assert.deepEqual((await pull('docker', 'v1')).body, manifest.bytes);
});

test('where docker2s2 is off, Docker’s types are refused with a word on how to turn them on', async () => {
  const plain = await serveRegistry();
  try {
    for (const type of [DOCKER_MANIFEST, DOCKER_LIST]) {
      const answer = await putManifest(plain, 'docker', manifestOf({}, type), 'v1');
      assert.equal(statusAndCode(answer), '415 MANIFEST_INVALID');
      assert.match(errorOf(answer).message, /docker2s2/);
    }
  } finally {
    await plain.close();
  }
});
