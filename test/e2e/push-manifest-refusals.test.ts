import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorOf, statusAndCode, type Answer } from './support/client.ts';
import {
  contentOf,
  descriptorOf,
  digestOf,
  imageOf,
  indexOf,
  manifestOf,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  pushBlob,
  pushImage,
  putManifest,
  type Content,
} from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { serveRegistry, type Served } from './support/served.ts';

let served: Served;
const image = imageOf('refusals');
const { config } = image;
const layer = image.layers[0];
assert.ok(layer);
const [configRow, layerRow] = [descriptorOf(config), descriptorOf(layer)];

before(async () => {
  served = await serveRegistry();
  for (const blob of [config, layer]) await pushBlob(served, 'refused', blob);
});
after(() => served.close());

/** Sends a manifest that must be refused, and proves that nothing of it stays. */
async function refused(manifest: Content, reference = 'v1'): Promise<Answer> {
  const before = await filesBelow(served.root);
  const answer = await putManifest(served, 'refused', manifest, reference);
  assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
  assert.deepEqual(await filesBelow(served.root), before);
  const tags = await served.request('GET', '/v2/refused/tags/list');
  assert.equal(statusAndCode(tags), '404 NAME_UNKNOWN');
  return answer;
}

test('missing content is named, all of it', async () => {
  const missing = [1, 2, 3].map((at) => contentOf(`missing ${at}`, OCI_LAYER));
  const manifest = manifestOf({
    config: configRow,
    layers: [layerRow, ...missing.map((one) => descriptorOf(one))],
  });
  const answer = await refused(manifest);
  assert.equal(statusAndCode(answer), '400 MANIFEST_BLOB_UNKNOWN');
  assert.deepEqual(
    errorOf(answer).detail.missing,
    missing.map(({ digest }) => digest),
  );
  for (const { digest } of missing) assert.ok(errorOf(answer).message.includes(digest));
});

test('content is missing whatever the type of the config (zot: only with image configs)', async () => {
  const helm = { ...configRow, mediaType: 'application/vnd.cncf.helm.config.v1+json' };
  const chart = descriptorOf(contentOf('no chart', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'));
  const answer = await refused(manifestOf({ config: helm, layers: [chart] }));
  assert.equal(statusAndCode(answer), '400 MANIFEST_BLOB_UNKNOWN');
});

test('a missing child of an index is named', async () => {
  const child = contentOf('no child', OCI_MANIFEST);
  const answer = await refused(indexOf([descriptorOf(child)]));
  assert.equal(statusAndCode(answer), '400 MANIFEST_BLOB_UNKNOWN');
  assert.deepEqual(errorOf(answer).detail.missing, [child.digest]);
});

test('content of another repository is missing here', async () => {
  await pushBlob(served, 'elsewhere', contentOf('over there', OCI_LAYER));
  const manifest = manifestOf({
    config: configRow,
    layers: [descriptorOf(contentOf('over there', OCI_LAYER))],
  });
  assert.equal(statusAndCode(await refused(manifest)), '400 MANIFEST_BLOB_UNKNOWN');
});

test('a size that is not that of the content is refused', async () => {
  const manifest = manifestOf({ config: configRow, layers: [{ ...layerRow, size: layerRow.size + 1 }] });
  const answer = await refused(manifest);
  assert.equal(statusAndCode(answer), '400 MANIFEST_INVALID');
  assert.equal(errorOf(answer).detail.digest, layer.digest);
});

test('a document that could be read as two kinds is refused (CVE-2021-41190)', async () => {
  const documents: readonly Content[] = [
    manifestOf({ config: configRow, layers: [layerRow], manifests: [] }),
    manifestOf({ config: configRow, layers: [layerRow], manifests: null }),
    manifestOf({ manifests: [], layers: [layerRow] }, OCI_INDEX),
    manifestOf({ manifests: [], config: configRow }, OCI_INDEX),
    { ...image.manifest, mediaType: OCI_INDEX },
    { ...indexOf([]), mediaType: OCI_MANIFEST },
    manifestOf({ config: configRow, layers: [layerRow], mediaType: 'text/plain' }),
    manifestOf({ config: configRow, layers: [layerRow], mediaType: 7 }),
  ];
  for (const document of documents) {
    assert.equal(statusAndCode(await refused(document)), '400 MANIFEST_INVALID', document.bytes.toString());
  }
});

test('what is no manifest is refused with the reason', async () => {
  const raw = (text: string | Buffer): Content => contentOf(text, OCI_MANIFEST);
  const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const bad = (members: Record<string, unknown>): Content =>
    manifestOf({ config: configRow, layers: [], ...members });
  const documents: readonly Content[] = [
    raw(''),
    raw('x'),
    raw('[]'),
    raw('null'),
    raw('{}'),
    raw('{"schemaVersion":2}'),
    raw(`{"schemaVersion":2,"config":${nested},"layers":[]}`),
    raw(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    raw(`${image.manifest.bytes.toString()} trailing`),
    raw(`\uFEFF${image.manifest.bytes.toString()}`),
    bad({ schemaVersion: 1 }),
    bad({ schemaVersion: '2' }),
    bad({ config: undefined }),
    bad({ config: null }),
    bad({ layers: undefined }),
    bad({ layers: {} }),
    bad({ layers: [null] }),
    bad({ layers: [{ ...layerRow, digest: 'sha256:short' }] }),
    bad({ layers: [{ ...layerRow, digest: `md5:${'a'.repeat(32)}` }] }),
    bad({ layers: [{ ...layerRow, digest: layer.digest.toUpperCase() }] }),
    bad({ layers: [{ ...layerRow, size: -1 }] }),
    bad({ layers: [{ ...layerRow, size: 1.5 }] }),
    bad({ layers: [{ ...layerRow, size: 2 ** 60 }] }),
    bad({ layers: [{ ...layerRow, size: '5' }] }),
    bad({ layers: [{ ...layerRow, mediaType: 'none' }] }),
    bad({ layers: [{ ...layerRow, mediaType: 'text/html\r\nX-Evil: yes' }] }),
    bad({ subject: { digest: 'x' } }),
    bad({ subject: 'x' }),
    bad({ annotations: { a: 1 } }),
    bad({ annotations: [] }),
    bad({ artifactType: 1 }),
    manifestOf({ manifests: [{}] }, OCI_INDEX),
    manifestOf({ manifests: 'x' }, OCI_INDEX),
  ];
  for (const document of documents) {
    const answer = await refused(document);
    assert.equal(statusAndCode(answer), '400 MANIFEST_INVALID', document.bytes.toString().slice(0, 200));
    assert.ok(errorOf(answer).detail.reason ?? errorOf(answer).detail.description);
  }
});

test('a digest that is not that of the bytes is refused', async () => {
  for (const reference of [digestOf('other'), digestOf('other', 'sha512')]) {
    const answer = await refused(image.manifest, reference);
    assert.equal(statusAndCode(answer), '400 DIGEST_INVALID');
  }
});

test('a reference that looks like a digest and is none, or is no tag, is refused', async () => {
  const references = [
    'sha256:abc',
    `sha256:${'a'.repeat(65)}`,
    `sha512:${'a'.repeat(64)}`,
    'md5:abc',
    'blake3:00',
  ];
  for (const reference of references) {
    assert.equal(statusAndCode(await refused(image.manifest, reference)), '400 DIGEST_INVALID', reference);
  }
  const tags = ['.latest', '-latest', 'a'.repeat(129), 'a%2Bb', 'a+b', 'caf%C3%A9', '@', '~', '%20'];
  for (const tag of tags) {
    const answer = await putManifest(served, 'refused', image.manifest, tag);
    assert.ok(
      ['400 MANIFEST_INVALID', '404 NOT_FOUND'].includes(statusAndCode(answer)),
      `${tag}: ${answer.text}`,
    );
  }
});

test('a media type that is no manifest’s, or none, is 415', async () => {
  const types = ['application/json', 'application/vnd.docker.distribution.manifest.v1+prettyjws', 'x', ''];
  for (const type of [...types, undefined]) {
    const answer = await served.request('PUT', '/v2/refused/manifests/v1', {
      headers: type === undefined ? {} : { 'content-type': type },
      body: image.manifest.bytes,
    });
    assert.equal(statusAndCode(answer), '415 MANIFEST_INVALID', String(type));
  }
});

test('the tag of a refused push stays where it was', async () => {
  await pushImage(served, 'kept', image, 'v1');
  const broken = manifestOf({ config: configRow, layers: [descriptorOf(contentOf('absent', OCI_LAYER))] });
  const answer = await putManifest(served, 'kept', broken, 'v1');
  assert.equal(statusAndCode(answer), '400 MANIFEST_BLOB_UNKNOWN');
  const pulled = await served.request('GET', '/v2/kept/manifests/v1');
  assert.deepEqual(pulled.body, image.manifest.bytes);
});

test('a manifest may have 4 MiB and not a byte more; the limit can be configured', async () => {
  const sized = (sizeBytes: number): Content => {
    const frame = manifestOf({ config: configRow, layers: [], annotations: { pad: '' } });
    const pad = 'x'.repeat(sizeBytes - frame.bytes.length);
    return manifestOf({ config: configRow, layers: [], annotations: { pad } });
  };
  const limit = 4 * 1024 * 1024;
  const most = sized(limit);
  assert.equal(most.bytes.length, limit);
  for (const blob of [config, layer]) await pushBlob(served, 'size', blob);
  assert.equal((await putManifest(served, 'size', most, 'most')).status, 201);
  const over = sized(limit + 1);
  const answer = await putManifest(served, 'size', over, 'over');
  assert.equal(statusAndCode(answer), '413 MANIFEST_INVALID');
  const streamed = await served.request('PUT', '/v2/size/manifests/over', {
    headers: { 'content-type': OCI_MANIFEST },
    body: [over.bytes.subarray(0, 1000), over.bytes.subarray(1000)],
  });
  assert.equal(statusAndCode(streamed), '413 MANIFEST_INVALID');
  const small = await serveRegistry({ http: { maxManifestSize: '1KiB' } });
  try {
    await pushBlob(small, 'size', config);
    assert.equal((await putManifest(small, 'size', sized(1024), 'v1')).status, 201);
    assert.equal((await putManifest(small, 'size', sized(1025), 'v2')).status, 413);
  } finally {
    await small.close();
  }
});
