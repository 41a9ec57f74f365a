import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { jsonOf, statusAndCode, type Answer } from './support/client.ts';
import {
  contentOf,
  descriptorOf,
  digestOf,
  DOCKER_MANIFEST,
  imageOf,
  indexOf,
  manifestOf,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_MANIFEST,
  pushBlob,
  pushImage,
  pushManifest,
  type Content,
} from './support/content.ts';
import { serveRegistry, type Served } from './support/served.ts';

interface Entry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
}

let served: Served;
const subject = imageOf('subject').manifest;
const empty = contentOf('{}', OCI_EMPTY);

const artifact = (members: Record<string, unknown>): Content =>
  manifestOf({
    config: descriptorOf(empty),
    layers: [descriptorOf(empty)],
    subject: descriptorOf(subject),
    ...members,
  });

const signature = artifact({ artifactType: 'application/vnd.sig', annotations: { by: 'anna' } });
const sbom = artifact({ artifactType: 'application/vnd.sbom' });
const byConfig = artifact({ config: { ...descriptorOf(empty), mediaType: 'application/vnd.config+json' } });
const byIndex = indexOf([], { subject: descriptorOf(subject), artifactType: 'application/vnd.sig' });
const bareIndex = indexOf([], { subject: descriptorOf(subject), annotations: { bare: 'yes' } });
const all = [signature, sbom, byConfig, byIndex, bareIndex];

before(async () => {
  served = await serveRegistry({ http: { compat: ['docker2s2'] } });
  await pushBlob(served, 'refs', empty);
  for (const manifest of all) await pushManifest(served, 'refs', manifest);
});
after(() => served.close());

const referrers = (digest: string, query = '', repo = 'refs'): Promise<Answer> =>
  served.request('GET', `/v2/${repo}/referrers/${digest}${query}`);
const entriesOf = (answer: Answer): Entry[] => {
  assert.equal(answer.status, 200, answer.text);
  const index = jsonOf(answer) as { schemaVersion: number; mediaType: string; manifests: Entry[] };
  assert.equal(index.schemaVersion, 2);
  assert.equal(index.mediaType, OCI_INDEX);
  assert.equal(answer.headers['content-type'], OCI_INDEX);
  return index.manifests;
};
const digestsOf = (answer: Answer): string[] => entriesOf(answer).map(({ digest }) => digest);
const sorted = (...contents: Content[]): string[] => contents.map(({ digest }) => digest).sort();

test('all manifests that name the subject are listed, with type and annotations', async () => {
  const entries = entriesOf(await referrers(subject.digest));
  assert.deepEqual(entries.map(({ digest }) => digest).sort(), sorted(...all));
  const entry = (content: Content): Entry | undefined =>
    entries.find(({ digest }) => digest === content.digest);
  const { mediaType, digest, bytes } = signature;
  assert.deepEqual(entry(signature), {
    mediaType,
    digest,
    size: bytes.length,
    annotations: { by: 'anna' },
    artifactType: 'application/vnd.sig',
  });
  assert.equal(entry(byConfig)?.artifactType, 'application/vnd.config+json');
  assert.equal(entry(byIndex)?.artifactType, 'application/vnd.sig');
  assert.equal('artifactType' in (entry(bareIndex) ?? {}), false);
  assert.deepEqual(entry(bareIndex)?.annotations, { bare: 'yes' });
});

test('artifactType filters, may be repeated, and says that it was applied', async () => {
  const one = await referrers(subject.digest, '?artifactType=application/vnd.sig');
  assert.deepEqual(digestsOf(one).sort(), sorted(signature, byIndex));
  assert.equal(one.headers['oci-filters-applied'], 'artifactType');
  const two = await referrers(
    subject.digest,
    '?artifactType=application%2Fvnd.sig&artifactType=application/vnd.sbom',
  );
  assert.deepEqual(digestsOf(two).sort(), sorted(signature, byIndex, sbom));
  assert.deepEqual(digestsOf(await referrers(subject.digest, '?artifactType=none')), []);
  const none = await referrers(subject.digest);
  assert.equal(none.headers['oci-filters-applied'], undefined);
  const blank = await referrers(subject.digest, '?artifactType=');
  assert.equal(blank.headers['oci-filters-applied'], 'artifactType');
  assert.equal(digestsOf(blank).length, all.length);
});

test('a subject or repository that does not exist has no referrers', async () => {
  assert.deepEqual(digestsOf(await referrers(digestOf('nothing'))), []);
  assert.deepEqual(digestsOf(await referrers(subject.digest, '', 'none')), []);
  await pushImage(served, 'above/below', imageOf('above'), 'v1');
  assert.deepEqual(digestsOf(await referrers(subject.digest, '', 'above')), []);
});

test('a malformed digest is refused', async () => {
  for (const digest of ['sha256:abc', 'latest', `sha256:${'A'.repeat(64)}`]) {
    assert.equal(statusAndCode(await referrers(digest)), '400 DIGEST_INVALID');
  }
});

test('a referrer that is deleted is no longer listed; deleting the subject keeps them', async () => {
  const image = imageOf('deleted subject');
  await pushImage(served, 'del', image, 'v1');
  await pushBlob(served, 'del', empty);
  const referrer = artifact({ subject: descriptorOf(image.manifest) });
  await pushManifest(served, 'del', referrer);
  await served.request('DELETE', `/v2/del/manifests/${image.manifest.digest}`);
  assert.deepEqual(digestsOf(await referrers(image.manifest.digest, '', 'del')), [referrer.digest]);
  await served.request('DELETE', `/v2/del/manifests/${referrer.digest}`);
  assert.deepEqual(digestsOf(await referrers(image.manifest.digest, '', 'del')), []);
});

test('Docker’s types have no subject', async () => {
  const config = contentOf('{"docker":1}', 'application/vnd.docker.container.image.v1+json');
  await pushBlob(served, 'refs', config);
  const members = { config: descriptorOf(config), layers: [], subject: descriptorOf(subject) };
  const answer = await pushManifest(served, 'refs', manifestOf(members, DOCKER_MANIFEST));
  assert.equal(answer.headers['oci-subject'], undefined);
  assert.equal(digestsOf(await referrers(subject.digest)).length, all.length);
});

test('a manifest that two tags name is listed once; a chain of subjects is followed one step', async () => {
  await pushManifest(served, 'refs', signature, 'one');
  await pushManifest(served, 'refs', signature, 'two');
  assert.equal(digestsOf(await referrers(subject.digest)).length, all.length);
  const onSignature = artifact({ subject: descriptorOf(signature) });
  await pushManifest(served, 'refs', onSignature);
  assert.deepEqual(digestsOf(await referrers(signature.digest)), [onSignature.digest]);
});

test('10,500 referrers come in pages of at most 4 MiB, joined by Link, each once', async () => {
  const count = 10_500;
  const many = await serveRegistry({ prepare: (root) => writeReferrers(path.join(root, 'many'), count) });
  try {
    const seen = new Set<string>();
    let target = `/v2/many/referrers/${subject.digest}`;
    let pages = 0;
    while (target !== '') {
      const answer = await many.request('GET', target);
      assert.ok(answer.body.length <= 4 * 1024 * 1024, String(answer.body.length));
      for (const digest of digestsOf(answer)) assert.ok(!seen.has(digest) && seen.add(digest));
      target = /<([^>]+)>; rel="next"/.exec(answer.headers.link?.toString() ?? '')?.[1] ?? '';
      pages += 1;
    }
    assert.equal(seen.size, count);
    assert.ok(pages > 1);
    const filtered = await many.request(
      'GET',
      `/v2/many/referrers/${subject.digest}?artifactType=application/vnd.n7`,
    );
    assert.equal(digestsOf(filtered).length, count / 10);
    assert.equal(filtered.headers.link, undefined);
  } finally {
    await many.close();
  }
});

test('referrers of any size come in pages, each once, the largest alone on its page', async () => {
  const large = await serveRegistry();
  try {
    await pushBlob(large, 'large', empty);
    const sizes = [3_900_000, 1_500_000, 3_900_000, 10, 1_500_000, 1_500_000, 3_900_000, 10, 3_900_000];
    const pushed = sizes.map((size, at) => artifact({ annotations: { pad: 'x'.repeat(size), at: `${at}` } }));
    for (const one of pushed) await pushManifest(large, 'large', one);
    const seen: string[] = [];
    for (let target = `/v2/large/referrers/${subject.digest}`; target !== '';) {
      const answer = await large.request('GET', target);
      assert.ok(answer.body.length <= 4 * 1024 * 1024, String(answer.body.length));
      seen.push(...digestsOf(answer));
      target = /<([^>]+)>; rel="next"/.exec(answer.headers.link?.toString() ?? '')?.[1] ?? '';
    }
    assert.deepEqual(seen, pushed.map(({ digest }) => digest).toSorted());
  } finally {
    await large.close();
  }
});

/** A layout with many referrers of the subject, written as another tool would, since pushing so many takes long. */
async function writeReferrers(folder: string, count: number): Promise<void> {
  const blobs = path.join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  await writeFile(path.join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(path.join(blobs, empty.digest.slice(7)), empty.bytes);
  const rows: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const pad = createHash('sha512').update(String(at)).digest('hex');
    const { bytes, digest } = artifact({
      artifactType: `application/vnd.n${at % 10}`,
      annotations: { pad, at: `${at}` },
    });
    await writeFile(path.join(blobs, digest.slice(7)), bytes);
    rows.push(JSON.stringify({ mediaType: OCI_MANIFEST, digest, size: bytes.length }));
  }
  await writeFile(path.join(folder, 'index.json'), `{"schemaVersion":2,"manifests":[${rows.join(',')}]}`);
}
