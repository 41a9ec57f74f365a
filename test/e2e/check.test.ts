import assert from 'node:assert/strict';
import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { checkStorage } from '../../src/check/check-storage.ts';
import { FINDING_KINDS, type Finding, type FindingKind } from '../../src/check/finding.ts';
import { runZot } from '../support/run-zot.ts';
import {
  contentOf,
  descriptorOf,
  digestOf,
  imageOf,
  indexOf,
  manifestOf,
  OCI_MANIFEST,
  pushBlob,
  pushImage,
  pushManifest,
  startUpload,
} from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { serveRegistry } from './support/served.ts';

interface Result {
  readonly exitCode: number;
  readonly sound: boolean;
  readonly findings: readonly Finding[];
  readonly repositories: number;
}

let folder = '';
/** A sound storage folder, closed; tests damage copies of it. */
let sound = '';
const image = imageOf('checked');
const other = imageOf('other');
const layer = image.layers[0];
assert.ok(layer);
const multi = indexOf([descriptorOf(image.manifest)]);
const foreign = manifestOf({
  config: descriptorOf(image.config),
  layers: [descriptorOf(contentOf('elsewhere', 'application/vnd.oci.image.layer.nondistributable.v1.tar'))],
});

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'zot-check-'));
  sound = path.join(folder, 'sound');
  const served = await serveRegistry({ root: sound });
  await pushImage(served, 'app', image, 'v1');
  await pushManifest(served, 'app', image.manifest, 'v2');
  await pushManifest(served, 'app', multi, 'multi');
  await pushManifest(served, 'app', foreign, 'foreign');
  await pushImage(served, 'app/nested', other, 'v1');
  await pushImage(served, 'wide', other, digestOf(other.manifest.bytes, 'sha512'));
  await pushBlob(served, 'app', contentOf('', 'application/octet-stream'));
  await pushImage(served, 'emptied', other, 'v1');
  await served.request('DELETE', `/v2/emptied/manifests/${other.manifest.digest}`);
  await pushBlob(served, 'blob/only', image.config);
  await served.close();
});
after(() => rm(folder, { recursive: true }));

async function run(root: string, ...flags: string[]): Promise<Result> {
  const { exitCode, text, errors } = await runZot('check', root, '--json', ...flags);
  assert.equal(errors, '');
  return { ...(JSON.parse(text) as Result), exitCode };
}

let copies = 0;
async function damagedCopy(damage: (root: string) => Promise<unknown>): Promise<string> {
  const root = path.join(folder, `copy-${(copies += 1)}`);
  await cp(sound, root, { recursive: true });
  await damage(root);
  return root;
}

const blobPath = (repo: string, digest: string): string => path.join(repo, 'blobs', ...digest.split(':'));

/** Changes one bit in the middle of a file. */
async function flip(file: string, at?: number): Promise<void> {
  const bytes = await readFile(file);
  const place = at ?? Math.floor(bytes.length / 2);
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  await writeFile(file, bytes);
}

async function editIndex(root: string, edit: (index: { manifests: unknown[] }) => unknown): Promise<void> {
  const file = path.join(root, 'app/index.json');
  const index = JSON.parse(await readFile(file, 'utf8')) as { manifests: unknown[] };
  await writeFile(file, JSON.stringify(edit(index)));
}

test('nothing is found in a sound folder, also while a registry serves it', async () => {
  for (const flags of [[], ['--deep']]) {
    const result = await run(sound, ...flags);
    assert.deepEqual(result.findings, []);
    assert.equal(result.exitCode, 0);
    assert.equal(result.repositories, 5);
  }
  const served = await serveRegistry({ root: sound });
  try {
    assert.deepEqual((await run(sound, '--deep')).findings, []);
  } finally {
    await served.close();
  }
});

test('the check of a repository says how far it is before its end', async () => {
  const done: { repositories: number; blobs: number }[] = [];
  await checkStorage({
    folder: sound,
    deep: true,
    onFinding: () => undefined,
    onProgress: ({ repositories, blobs }) => done.push({ repositories, blobs }),
  });
  assert.ok(done.filter(({ repositories }) => repositories === 0).length > 1, JSON.stringify(done));
});

test('the check changes nothing', async () => {
  const names = await filesBelow(sound);
  const contents = await Promise.all(names.map((name) => readFile(path.join(sound, name))));
  await run(sound, '--deep');
  assert.deepEqual(await filesBelow(sound), names);
  const after = await Promise.all(names.map((name) => readFile(path.join(sound, name))));
  assert.ok(after.every((bytes, at) => contents[at]?.equals(bytes)));
});

interface Damage {
  readonly kind: FindingKind;
  readonly damage: (root: string) => Promise<unknown>;
  readonly repository?: string;
  readonly digest?: string;
  readonly flags?: readonly string[];
  /** Where the one damage shows as something else as well. */
  readonly also?: readonly FindingKind[];
}

const app = { repository: 'app' };
const ofImage = { ...app, digest: image.manifest.digest };
const ofLayer = { ...app, digest: layer.digest };
const deep = { flags: ['--deep'] };
const index = (root: string): string => path.join(root, 'app/index.json');
const manifestFile = (root: string): string => path.join(root, blobPath('app', image.manifest.digest));
const layerFile = (root: string): string => path.join(root, blobPath('app', layer.digest));

/** R8 and R9 of the reliability list: one bit changed, deleted, emptied, cut, replaced, for each kind of file. */
const damages: readonly Damage[] = [
  { kind: 'layout-missing', damage: (root) => rm(path.join(root, 'app/oci-layout')), ...app },
  { kind: 'layout-invalid', damage: (root) => flip(path.join(root, 'app/oci-layout')), ...app },
  { kind: 'layout-invalid', damage: (root) => truncate(path.join(root, 'app/oci-layout')), ...app },
  { kind: 'index-missing', damage: (root) => rm(index(root)), ...app },
  { kind: 'index-unusable', damage: (root) => truncate(index(root)), ...app },
  { kind: 'index-unusable', damage: (root) => truncate(index(root), 100), ...app },
  { kind: 'index-unusable', damage: (root) => flip(index(root), 0), ...app },
  { kind: 'index-unusable', damage: (root) => writeFile(index(root), '[]'), ...app },
  { kind: 'index-unusable', damage: (root) => writeFile(index(root), '{"manifests":{}}'), ...app },
  { kind: 'index-unusable', damage: (root) => truncate(index(root), 300 * 1024 * 1024), ...app },
  {
    kind: 'index-repeats-member',
    damage: async (root) => {
      const text = await readFile(index(root), 'utf8');
      await writeFile(index(root), text.replace('{', '{"manifests":[],'));
    },
    ...app,
  },
  {
    kind: 'descriptor-unreadable',
    damage: (root) => editIndex(root, ({ manifests }) => ({ manifests: [...manifests, { digest: 'x' }] })),
    ...app,
  },
  {
    kind: 'tag-repeated',
    damage: (root) => editIndex(root, ({ manifests }) => ({ manifests: [...manifests, manifests[0]] })),
    ...app,
  },
  { kind: 'manifest-missing', damage: (root) => rm(manifestFile(root)), ...ofImage },
  { kind: 'manifest-wrong-size', damage: (root) => truncate(manifestFile(root), 10), ...ofImage },
  { kind: 'manifest-wrong-size', damage: (root) => truncate(manifestFile(root)), ...ofImage },
  { kind: 'manifest-wrong-digest', damage: (root) => flip(manifestFile(root)), ...ofImage },
  {
    kind: 'manifest-wrong-digest',
    damage: (root) => flip(path.join(root, blobPath('wide', digestOf(other.manifest.bytes, 'sha512')))),
    repository: 'wide',
    digest: digestOf(other.manifest.bytes, 'sha512'),
  },
  {
    kind: 'manifest-unreadable',
    damage: async (root) => {
      const bytes = Buffer.from('{"schemaVersion":1}');
      const row = { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length };
      await writeFile(path.join(root, blobPath('app', row.digest)), bytes);
      await editIndex(root, ({ manifests }) => ({ schemaVersion: 2, manifests: [...manifests, row] }));
    },
    repository: 'app',
    digest: digestOf('{"schemaVersion":1}'),
  },
  { kind: 'blob-missing', damage: (root) => rm(layerFile(root)), ...ofLayer },
  {
    kind: 'blob-missing',
    damage: (root) => rm(path.join(root, blobPath('app', image.config.digest))),
    ...app,
    digest: image.config.digest,
  },
  { kind: 'blob-wrong-size', damage: (root) => truncate(layerFile(root), 3), ...ofLayer },
  { kind: 'blob-wrong-size', damage: (root) => truncate(layerFile(root)), ...ofLayer },
  {
    kind: 'blob-wrong-size',
    damage: (root) => writeFile(layerFile(root), 'longer than it was', { flag: 'a' }),
    ...ofLayer,
  },
  { kind: 'blob-wrong-digest', damage: (root) => flip(layerFile(root)), ...ofLayer, ...deep },
  {
    kind: 'blob-wrong-digest',
    damage: (root) => flip(path.join(root, blobPath('blob/only', image.config.digest))),
    repository: 'blob/only',
    digest: image.config.digest,
    ...deep,
  },
  {
    kind: 'blob-empty',
    damage: (root) => truncate(path.join(root, blobPath('blob/only', image.config.digest))),
    repository: 'blob/only',
    digest: image.config.digest,
  },
  { kind: 'stray-file', damage: (root) => writeFile(path.join(root, 'app/blobs/sha256/x.tmp'), 'x'), ...app },
  { kind: 'stray-file', damage: (root) => writeFile(path.join(root, 'app/blobs/x'), 'x'), ...app },
  { kind: 'stray-file', damage: (root) => mkdir(path.join(root, 'app/blobs/md5')), ...app },
  {
    kind: 'stray-file',
    damage: (root) => mkdir(path.join(root, 'app/blobs/sha256', 'a'.repeat(64))),
    ...app,
  },
  { kind: 'name-invalid', damage: (root) => rename(path.join(root, 'wide'), path.join(root, 'WIDE')) },
  {
    kind: 'uploads-left',
    damage: (root) => writeFile(path.join(root, 'app/.uploads/00000000-0000-4000-8000-000000000000'), 'x'),
    ...app,
  },
  {
    kind: 'first-push-interrupted',
    damage: async (root) => {
      await mkdir(path.join(root, 'begun'));
      await writeFile(path.join(root, 'begun/oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    },
    repository: 'begun',
  },
  { kind: 'index-database-damaged', damage: (root) => truncate(path.join(root, '_zot/index.db')) },
  { kind: 'index-database-damaged', damage: (root) => truncate(path.join(root, '_zot/index.db'), 5000) },
  { kind: 'index-database-damaged', damage: (root) => flip(path.join(root, '_zot/index.db'), 3) },
  {
    kind: 'index-database-damaged',
    damage: (root) => writeFile(path.join(root, '_zot/index.db'), 'no database'),
  },
  { kind: 'records-database-damaged', damage: (root) => rm(path.join(root, '_zot/records.db')) },
  { kind: 'records-database-damaged', damage: (root) => truncate(path.join(root, '_zot/records.db')) },
  { kind: 'records-database-damaged', damage: (root) => flip(path.join(root, '_zot/records.db'), 3) },
];

test('every damage is found, named with repository and digest, and nothing else is', async () => {
  for (const { kind, damage, repository = null, digest = null, flags = [] } of damages) {
    const root = await damagedCopy(damage);
    const result = await run(root, ...flags);
    const kinds = result.findings.map((finding) => finding.kind);
    assert.deepEqual(kinds, [kind], JSON.stringify(result.findings, null, 1));
    const [found] = result.findings;
    assert.equal(found?.repository, repository, kind);
    assert.equal(found.digest, digest, kind);
    assert.equal(result.exitCode, FINDING_KINDS[kind].severity === 'damage' ? 1 : 0, kind);
    assert.ok(found.meaning.length > 10 && found.remedy.length > 5);
    await rm(root, { recursive: true });
  }
});

test(
  'a file that cannot be read is named',
  { skip: process.getuid?.() === 0 && 'root reads everything' },
  async () => {
    const root = await damagedCopy((copy) => chmod(manifestFile(copy), 0));
    const { findings } = await run(root);
    assert.deepEqual(
      findings.map(({ kind }) => kind),
      ['cannot-be-read'],
    );
  },
);

test('each kind of finding is planted by some case', () => {
  const planted = new Set([...damages.map(({ kind }) => kind), 'cannot-be-read']);
  assert.deepEqual([...planted].sort(), Object.keys(FINDING_KINDS).sort());
});

test('the content of a blob is read only when asked for', async () => {
  const root = await damagedCopy((copy) => flip(layerFile(copy)));
  assert.equal((await run(root)).exitCode, 0);
  assert.equal((await run(root, '--deep')).exitCode, 1);
});

test('without the databases of a registry a folder is judged by itself', async () => {
  const root = await damagedCopy((copy) => rm(path.join(copy, '_zot'), { recursive: true }));
  assert.deepEqual((await run(root)).findings, []);
  await rm(index(root));
  const { findings } = await run(root);
  assert.deepEqual(
    findings.map(({ kind, repository }) => [kind, repository]),
    [['index-missing', 'app']],
  );
});

test('a folder that is itself one image layout is checked as one', async () => {
  const root = await damagedCopy(async () => undefined);
  const single = await run(path.join(root, 'app'), '--deep');
  assert.deepEqual([single.exitCode, single.repositories], [0, 1]);
  await flip(layerFile(root));
  assert.equal((await run(path.join(root, 'app'), '--deep')).exitCode, 1);
});

test('people get a line that says what, where and how to mend it, and a summary', async () => {
  const root = await damagedCopy((copy) => rm(layerFile(copy)));
  const { exitCode, text } = await runZot('check', root);
  assert.equal(exitCode, 1);
  assert.match(text, new RegExp(`^damage: app ${layer.digest}: blob-missing\n`));
  assert.match(
    text,
    /images that need it cannot be pulled \(layer of sha256:[0-9a-f]{64} \(tags v1, v2\)\)\n/,
  );
  assert.match(text, /to mend it: push the image again/);
  assert.match(text, /\n1 damage in 5 repositories, /);
});

test('a folder that is not there is an error of one line', async () => {
  const { exitCode, errors } = await runZot('check', path.join(folder, 'absent'));
  assert.equal(exitCode, 1);
  assert.match(errors, /^Error: the folder .*absent cannot be read: ENOENT[^\n]*\n$/);
});

test('pushes and deletes that go on meanwhile are no damage', async () => {
  const served = await serveRegistry();
  let isDone = false;
  const pushing = async (worker: number): Promise<void> => {
    for (let at = 0; !isDone && at < 100; at += 1) {
      const pushed = imageOf(`busy ${worker} ${at}`);
      await pushImage(served, `busy${at % 2}`, pushed, `t${worker}`);
      if (at % 3 === 2)
        await served.request('DELETE', `/v2/busy${at % 2}/manifests/${pushed.manifest.digest}`);
      await startUpload(served, 'busy');
    }
  };
  const pushes = [pushing(1), pushing(2)];
  const damages: Finding[] = [];
  for (let round = 0; round < 6; round += 1) {
    const { findings } = await run(served.root, '--deep');
    damages.push(...findings.filter(({ severity }) => severity === 'damage'));
  }
  isDone = true;
  await Promise.all(pushes);
  await served.close();
  assert.deepEqual(damages, []);
});
