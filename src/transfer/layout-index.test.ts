import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#oci/digest';
import { OCI_MANIFEST } from '#oci/media-types';
import { parseTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { entriesFor, readLayoutIndex, repositoryOf, rootsOf, withImageName } from './layout-index.ts';

const one = digestOf(Buffer.from('one'));
const two = digestOf(Buffer.from('two'));
const REF_NAME = 'org.opencontainers.image.ref.name';
const IMAGE_NAME = 'io.containerd.image.name';

function indexOf(...entries: readonly (readonly [digest: string, annotations?: Record<string, string>])[]) {
  const manifests = entries.map(([digest, annotations]) => ({
    mediaType: OCI_MANIFEST,
    digest,
    size: 3,
    annotations,
  }));
  return readLayoutIndex(Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
}

test('a manifest has all tags that any entry gives it, by whatever way they are written', () => {
  const { roots, problems } = rootsOf(
    indexOf(
      [one, { [REF_NAME]: 'v1' }],
      [one],
      [one, { [REF_NAME]: 'docker.io/library/app:v2' }],
      [two, { [REF_NAME]: 'no tag' }],
      [two, { [REF_NAME]: one }],
    ),
    [],
  );
  assert.deepEqual(
    roots.map(({ digest, tags }) => [digest, tags]),
    [
      [one, ['v1', 'v2']],
      [two, []],
    ],
  );
  assert.deepEqual(problems, [`"no tag" cannot be a tag: ${two} has none by it`]);
});

test('tags choose; a single manifest without a name gets them', () => {
  const entries = indexOf([one, { [REF_NAME]: 'v1' }], [two, { [REF_NAME]: 'v2' }]);
  assert.deepEqual(
    rootsOf(entries, [parseTag('v2')]).roots.map(({ digest }) => digest),
    [two],
  );
  assert.throws(() => rootsOf(entries, [parseTag('v3')]), /nothing in it has the tag v3/);
  const given = rootsOf(indexOf([one, { [REF_NAME]: two }]), [parseTag('a'), parseTag('b')]).roots;
  assert.deepEqual(
    given.map(({ tags }) => tags),
    [['a', 'b']],
  );
});

test('the repository is read from full names', () => {
  const named = (name: string, annotation = IMAGE_NAME) =>
    repositoryOf(indexOf([one, { [annotation]: name }]));
  assert.equal(named('docker.io/library/alpine:3.22'), 'alpine');
  assert.equal(named('docker.io/team/app:1'), 'team/app');
  assert.equal(named('registry.example:5000/team/app:1'), 'team/app');
  assert.equal(named('localhost/app:1'), 'app');
  assert.equal(named('app:1', REF_NAME), 'app');
  for (const name of ['latest', one, 'UPPER:1']) assert.equal(named(name, REF_NAME), null);
});

test('of a layout of several repositories the one that is meant is taken', () => {
  const entries = indexOf(
    [one, { [IMAGE_NAME]: 'docker.io/a/x:1' }],
    [two, { [IMAGE_NAME]: 'docker.io/b/y:1' }],
  );
  assert.throws(() => repositoryOf(entries), /images of 2 repositories: say which is meant by --repo/);
  assert.deepEqual(
    entriesFor(entries, parseRepoName('b/y')).map(({ descriptor }) => descriptor.digest),
    [two],
  );
  assert.throws(() => entriesFor(entries, parseRepoName('c')), /and none of c: a\/x, b\/y/);
});

test('an exported image has a full name that is read again', () => {
  for (const repo of ['app', 'team/app'].map(parseRepoName)) {
    const [entry] = indexOf([one, { [REF_NAME]: 'v1', other: 'stays' }]);
    assert.ok(entry);
    const named = JSON.parse(withImageName(entry, repo)) as { annotations: Record<string, string> };
    assert.equal(named.annotations['other'], 'stays');
    assert.equal(repositoryOf(indexOf([one, named.annotations])), repo);
  }
});
