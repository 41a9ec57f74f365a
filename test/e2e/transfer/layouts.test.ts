/** `zot export` and `zot import` of layouts and archives, beside a running server and on a folder nobody serves. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runZot, zotJson } from '../../support/run-zot.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { sendRequest } from '../support/client.ts';
import {
  contentOf,
  descriptorOf,
  imageOf,
  indexOf,
  manifestOf,
  pushImage,
  pushManifest,
} from '../support/content.ts';
import type { Content } from '../support/content.ts';
import { contentsOf, tagged, writeLayout } from '../support/layout.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-transfer-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

interface Report {
  readonly manifests: number;
  readonly tags: number;
  readonly blobsCopied: number;
  readonly blobsPresent: number;
  readonly blobsLinked: number;
}

const arm = imageOf('arm');
const amd = imageOf('amd');
const multi = indexOf([descriptorOf(arm.manifest), descriptorOf(amd.manifest)]);
const plain = imageOf('plain');
const signature = imageOf('signature', {
  subject: descriptorOf(amd.manifest),
  artifactType: 'application/x.sig',
});
const legacy = imageOf('cosign');
const aboutSignature = imageOf('about', { subject: descriptorOf(signature.manifest) });
const legacyTag = `${multi.digest.replace(':', '-')}.sig`;

type Target = Parameters<typeof pushImage>[0];

async function fill(served: Target, repo: string): Promise<void> {
  await pushImage(served, repo, arm);
  await pushImage(served, repo, amd);
  await pushManifest(served, repo, multi, 'multi');
  await pushImage(served, repo, plain, 'plain');
  await pushManifest(served, repo, plain.manifest, 'second');
  await pushImage(served, repo, signature);
  await pushImage(served, repo, aboutSignature);
  await pushImage(served, repo, legacy, legacyTag);
}

async function indexEntries(layout: string): Promise<{ digest: string; tag: string | null }[]> {
  const text = await readFile(path.join(layout, 'index.json'), 'utf8');
  const { manifests } = JSON.parse(text) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
  return manifests.map(({ digest, annotations }) => ({
    digest,
    tag: annotations?.['org.opencontainers.image.ref.name'] ?? null,
  }));
}

/** Every blob of a layout has the digest of its name; gives how many there are. */
async function proveBlobs(layout: string): Promise<number> {
  const names = await readdir(path.join(layout, 'blobs/sha256'));
  for (const name of names) {
    const bytes = await readFile(path.join(layout, 'blobs/sha256', name));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), name);
  }
  return names.length;
}

for (const workers of [1, 2]) {
  describe(`beside a server with ${workers} serving processes`, () => {
    let server: RunningServer;
    let served: Target;
    before(async () => {
      server = await startServer({ config: { http: { workers } } });
      // Only `request` is asked of it here.
      served = {
        request: (method: string, target: string, call = {}) =>
          sendRequest(server.port, { ...call, method, target }),
      } as Target;
      await fill(served, 'team/app');
    });
    after(() => server.stop());

    const file = (name: string): string => at(`${workers}-${name}`);
    const digestOfTag = async (repo: string, tag: string): Promise<string | undefined> =>
      (await fetch(`${server.url}/v2/${repo}/manifests/${tag}`, { method: 'HEAD' })).headers.get(
        'docker-content-digest',
      ) ?? undefined;
    const isThere = async (repo: string, content: Content): Promise<boolean> =>
      (await fetch(`${server.url}/v2/${repo}/manifests/${content.digest}`)).status === 200;

    test('a tag goes out with its platforms and its signatures, and nothing else', async () => {
      const report = await zotJson<Report>(
        'export',
        server.configFile,
        'team/app:multi',
        '--to',
        file('one'),
      );
      assert.equal(report.manifests, 6);
      const entries = await indexEntries(file('one'));
      assert.deepEqual(
        new Set(entries.map(({ digest }) => digest)),
        new Set(
          [multi, signature.manifest, aboutSignature.manifest, legacy.manifest].map(({ digest }) => digest),
        ),
      );
      assert.deepEqual(
        entries
          .map(({ tag }) => tag)
          .filter((tag) => tag !== null)
          .sort(),
        ['multi', legacyTag].sort(),
      );
      assert.equal(await proveBlobs(file('one')), 6 + 5 * 2);
      const bare = await zotJson<Report>(
        'export',
        server.configFile,
        'team/app:multi',
        '--no-referrers',
        '--to',
        file('bare'),
      );
      assert.equal(bare.manifests, 3);
    });

    test('what was exported comes in again under another name, to the bit', async () => {
      await zotJson('export', server.configFile, 'team/app', '--to', file('all.tar'));
      const report = await zotJson<Report>(
        'import',
        server.configFile,
        file('all.tar'),
        '--repo',
        'copy/app',
      );
      // Of an archive, manifests come in as blobs first; everything else stands in the store already.
      assert.deepEqual([report.tags, report.blobsCopied, report.blobsLinked], [4, 7, 12]);
      for (const tag of ['multi', 'plain', 'second', legacyTag])
        assert.equal(await digestOfTag('copy/app', tag), await digestOfTag('team/app', tag));
      for (const { manifest } of [arm, amd, signature, aboutSignature])
        assert.ok(await isThere('copy/app', manifest));
      const referrers = await fetch(`${server.url}/v2/copy/app/referrers/${amd.manifest.digest}`);
      const { manifests } = (await referrers.json()) as { manifests: { digest: string }[] };
      assert.deepEqual(
        manifests.map(({ digest }) => digest),
        [signature.manifest.digest],
      );
    });

    test('--tag takes one image with what is about it; --repo may be left out of what says it', async () => {
      await zotJson('export', server.configFile, 'team/app', '--to', file('named.tar'));
      const said = await zotJson<Report>('import', server.configFile, file('named.tar'));
      assert.equal(said.tags, 4);
      await zotJson('import', server.configFile, file('named.tar'), '--repo', 'only', '--tag', 'multi');
      assert.equal(await digestOfTag('only', 'multi'), multi.digest);
      assert.equal(await digestOfTag('only', 'plain'), undefined);
      assert.ok(await isThere('only', signature.manifest));
      const none = await runZot(
        'import',
        server.configFile,
        file('named.tar'),
        '--repo',
        'only',
        '--tag',
        'none',
      );
      assert.deepEqual(
        [none.exitCode, none.errors],
        [1, 'Error: nothing in it has the tag none (at only)\n'],
      );
    });

    test('all repositories make a folder that comes in as a whole, and the second time copies nothing', async () => {
      await pushImage(served, 'other', imageOf('other'), 'v1');
      await zotJson('export', server.configFile, '--all', '--to', file('everything'));
      const again = await zotJson<Report>('export', server.configFile, '--all', '--to', file('everything'));
      assert.equal(again.blobsCopied, 0);
      const damaged = path.join(
        file('everything'),
        'other/blobs',
        ...imageOf('other').config.digest.split(':'),
      );
      await truncate(damaged, 3);
      const mended = await zotJson<Report>('export', server.configFile, '--all', '--to', file('everything'));
      assert.equal(mended.blobsCopied, 1);
      await proveBlobs(path.join(file('everything'), 'other'));
      const offline = file('offline');
      await zotJson('import', await emptyFolder(offline), file('everything'));
      assert.equal((await runZot('check', offline, '--deep')).exitCode, 0);
      assert.deepEqual(
        await indexEntries(path.join(offline, 'other')),
        await indexEntries(path.join(server.root, 'other')),
      );
      const second = await zotJson<Report>('import', offline, file('everything'));
      assert.equal(second.blobsCopied, 0);
    });
  });
}

async function emptyFolder(name: string): Promise<string> {
  await mkdir(name, { recursive: true });
  return name;
}

test('an export into a layout that is there keeps what is in it', async () => {
  const root = await emptyFolder(at('kept-root'));
  const layout = at('kept');
  await zotJson('import', root, await layoutOf('kept-a', imageOf('a'), 'a'), '--repo', 'app');
  await zotJson('export', root, 'app:a', '--to', layout);
  await zotJson('import', root, await layoutOf('kept-b', imageOf('b'), 'b'), '--repo', 'app');
  await zotJson('export', root, 'app:b', '--to', layout);
  assert.deepEqual(
    (await indexEntries(layout)).map(({ tag }) => tag),
    ['a', 'b'],
  );
});

async function layoutOf(
  name: string,
  image: ReturnType<typeof imageOf>,
  tag: string | null,
): Promise<string> {
  const entry = tag === null ? descriptorOf(image.manifest) : tagged(image.manifest, tag);
  await writeLayout(at(name), { schemaVersion: 2, manifests: [entry] }, contentsOf(image));
  return at(name);
}

test('an image without a name gets the one of --tag', async () => {
  const root = await emptyFolder(at('nameless-root'));
  const layout = await layoutOf('nameless', plain, null);
  await zotJson('import', root, layout, '--repo', 'app', '--tag', 'given');
  assert.deepEqual(await indexEntries(path.join(root, 'app')), [
    { digest: plain.manifest.digest, tag: 'given' },
  ]);
});

test('what is damaged at its source is named, and the rest goes on', async () => {
  const root = await emptyFolder(at('damage-root'));
  const good = imageOf('good');
  const bad = imageOf('bad');
  const gone = imageOf('gone');
  const wrongKind = manifestOf({ config: descriptorOf(contentOf('{}', 'a/b')), layers: 'none' });
  const index = {
    schemaVersion: 2,
    manifests: [
      tagged(bad.manifest, 'bad'),
      tagged(gone.manifest, 'gone'),
      tagged(wrongKind, 'kind'),
      tagged(good.manifest, 'good'),
    ],
  };
  await writeLayout(at('damage'), index, [
    ...contentsOf(good),
    ...contentsOf(bad),
    gone.config,
    gone.manifest,
    wrongKind,
  ]);
  const file = path.join(at('damage'), 'blobs', ...(bad.layers[0]?.digest ?? '').split(':'));
  await writeFile(file, 'x'.repeat((await stat(file)).size));
  const { exitCode, text } = await runZot('import', root, at('damage'), '--repo', 'app');
  assert.equal(exitCode, 1);
  assert.match(text, /not imported: \S+ \(bad\): the blob \S+ is damaged: its bytes have another digest\n/);
  assert.match(text, /not imported: \S+ \(gone\): the blob \S+ is missing\n/);
  assert.match(text, /not imported: \S+ \(kind\): manifest invalid/);
  assert.deepEqual(
    (await indexEntries(path.join(root, 'app'))).map(({ tag }) => tag),
    ['good'],
  );
});

test('a damaged blob of the registry is not exported', async () => {
  const root = await emptyFolder(at('rotten-root'));
  await zotJson('import', root, await layoutOf('rotten', plain, 'v1'), '--repo', 'app');
  const file = path.join(root, 'app/blobs', ...plain.config.digest.split(':'));
  await writeFile(file, 'x'.repeat((await stat(file)).size));
  const toFolder = await runZot('export', root, 'app', '--to', at('rotten-out'));
  assert.equal(toFolder.exitCode, 1);
  assert.match(toFolder.text, /^not exported: app v1: the blob \S+ is damaged/);
  const toArchive = await runZot('export', root, 'app', '--to', at('rotten.tar'));
  assert.equal(toArchive.exitCode, 1);
  assert.match(
    toArchive.errors,
    /^Error: the blob \S+ is damaged: its bytes have another digest \(at app\)\n$/,
  );
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('rotten.tar')),
    [],
  );
  // An import of what is sound mends it.
  await zotJson('import', root, at('rotten'), '--repo', 'app');
  assert.equal((await runZot('check', root, '--deep')).exitCode, 0);
});

test('what cannot be done is refused in one line that says how to mend it', async () => {
  const root = await emptyFolder(at('refusals'));
  await zotJson('import', root, await layoutOf('refused', plain, 'v1'), '--repo', 'app');
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['export', root, 'app'], /say where to export to/],
    [['export', root, '--to', at('x')], /name repositories or images, or give --all/],
    [['export', root, 'none', '--to', at('x')], /there is no repository none\n/],
    [['export', root, 'app:none', '--to', at('x')], /app has no tag none/],
    [['export', root, `app@sha256:${'0'.repeat(64)}`, '--to', at('x')], /app has no manifest sha256:0/],
    [['export', root, 'app@sha256:abc', '--to', at('x')], /is not <repository>/],
    [['export', root, '--all', '--to', at('x.tar')], /an archive holds one repository/],
    [['export', root, 'app', '--to', at('x.tar.gz')], /\| gzip/],
    [['export', root, 'app', '--to', path.join(at('refused'), 'index.json/x')], /cannot be made/],
    [['import', root, at('none')], /there is no /],
    [['import', root, at('refused')], /name one by --repo/],
    [['import', root, at('refused'), '--repo', 'UPPER'], /no repository name/],
    [['import', root, folder, '--repo', 'app'], /is no image layout/],
    [['import', at('none'), at('refused'), '--repo', 'app'], /no such file|there is no/],
  ];
  for (const [words, expected] of cases) {
    const { exitCode, errors } = await runZot(...words);
    assert.equal(exitCode, 1, words.join(' '));
    assert.match(errors, expected, words.join(' '));
    assert.match(errors, /^Error: [^\n]+\n$/, words.join(' '));
  }
});

for (const workers of [0, 1, 2]) {
  const where = workers === 0 ? 'on a folder' : `beside ${workers} serving processes`;
  test(`a quota holds for imports too, ${where}; what finds no room is named`, async () => {
    const root = await emptyFolder(at(`quota-${workers}`));
    const storage = { rootDirectory: root, quotas: [{ prefix: 'small', maxBytes: '2k' }] };
    const server = workers === 0 ? null : await startServer({ root, config: { storage, http: { workers } } });
    const config = at(`quota-${workers}.json`);
    await writeFile(config, JSON.stringify({ storage, http: { address: '127.0.0.1', port: '0' } }));
    try {
      const large = manifestOf({
        config: descriptorOf(plain.config),
        layers: [descriptorOf(contentOf(Buffer.alloc(5000), 'application/vnd.oci.image.layer.v1.tar'))],
      });
      const index = { schemaVersion: 2, manifests: [tagged(large, 'large'), tagged(plain.manifest, 'v1')] };
      const contents = [
        ...contentsOf(plain),
        large,
        contentOf(Buffer.alloc(5000), 'application/octet-stream'),
      ];
      await writeLayout(at(`quota-layout-${workers}`), index, contents);
      const import_ = ['import', config, at(`quota-layout-${workers}`), '--repo', 'small/app'];
      const { exitCode, text, errors } = await runZot(...import_);
      assert.equal(exitCode, 1, errors);
      assert.match(text, /not imported: \S+ \(large\): the quota of "small" is 2\.0 KiB, of which/);
      assert.deepEqual(
        (await indexEntries(path.join(root, 'small/app'))).map(({ tag }) => tag),
        ['v1'],
      );
      await zotJson('import', config, at(`quota-layout-${workers}`), '--repo', 'other');
    } finally {
      await server?.stop();
    }
  });
}
