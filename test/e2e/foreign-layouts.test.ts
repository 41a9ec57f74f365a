import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { jsonOf, statusAndCode } from './support/client.ts';
import {
  contentOf,
  descriptorOf,
  digestOf,
  expectStatus,
  imageOf,
  indexOf,
  manifestOf,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  pushImage,
  type Content,
} from './support/content.ts';
import { contentsOf, tagged, writeLayout } from './support/layout.ts';
import { serveRegistry, type Served } from './support/served.ts';

const [one, two] = [imageOf('foreign one'), imageOf('foreign two')];
const multi = indexOf([descriptorOf(one.manifest), descriptorOf(two.manifest)]);
const all = [...contentsOf(one), ...contentsOf(two), multi];

/** Serves a folder that something else has written, for the time of a test. */
async function serving(prepare: (root: string) => Promise<unknown>, run: (served: Served) => Promise<void>) {
  const served = await serveRegistry({ prepare: async (root) => void (await prepare(root)) });
  try {
    await run(served);
  } finally {
    await served.close();
  }
}

async function assertPulled(
  served: Served,
  repo: string,
  reference: string,
  content: Content,
): Promise<void> {
  const answer = await served.request('GET', `/v2/${repo}/manifests/${reference}`);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.body, content.bytes);
  assert.equal(answer.headers['content-type'], content.mediaType);
  assert.equal(answer.headers['docker-content-digest'], content.digest);
}

const tagsOf = async (served: Served, repo: string): Promise<unknown> =>
  (jsonOf(await served.request('GET', `/v2/${repo}/tags/list`)) as { tags: unknown }).tags;

test('skopeo: a layout with tags, its index.json compact and its descriptors without more', async () => {
  const index = { schemaVersion: 2, manifests: [tagged(one.manifest, '1'), tagged(multi, 'multi')] };
  await serving(
    (root) => writeLayout(path.join(root, 'skopeo'), index, all),
    async (served) => {
      assert.deepEqual(await tagsOf(served, 'skopeo'), ['1', 'multi']);
      await assertPulled(served, 'skopeo', '1', one.manifest);
      await assertPulled(served, 'skopeo', 'multi', multi);
    },
  );
});

test('buildkit: children of an index that stand in blobs/ only are served by digest', async () => {
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      tagged(multi, 'latest', {
        annotations: {
          'io.containerd.image.name': 'docker.io/library/app:latest',
          'org.opencontainers.image.created': '2026-01-01T00:00:00Z',
        },
      }),
    ],
  };
  await serving(
    (root) => writeLayout(path.join(root, 'buildkit'), index, all),
    async (served) => {
      await assertPulled(served, 'buildkit', 'latest', multi);
      for (const image of [one, two]) {
        await assertPulled(served, 'buildkit', image.manifest.digest, image.manifest);
        for (const { digest, bytes, mediaType } of [image.config, ...image.layers]) {
          const blob = await served.request('GET', `/v2/buildkit/blobs/${digest}`);
          assert.deepEqual(blob.body, bytes);
          assert.equal(blob.headers['content-type'], mediaType);
        }
      }
      const denied = await served.request('DELETE', `/v2/buildkit/manifests/${one.manifest.digest}`);
      assert.equal(statusAndCode(denied), '405 DENIED');
    },
  );
});

test('umoci: an empty layout says "manifests": null', async () => {
  await serving(
    (root) => writeLayout(path.join(root, 'umoci'), '{"schemaVersion":2,"manifests":null}', []),
    async (served) => {
      assert.deepEqual(await tagsOf(served, 'umoci'), []);
      await pushImage(served, 'umoci', one, 'v1');
      await assertPulled(served, 'umoci', 'v1', one.manifest);
    },
  );
});

test('crane: pretty-printed JSON, and descriptors with a platform', async () => {
  const platform = { architecture: 'arm64', os: 'linux', variant: 'v8' };
  const manifests = [
    { ...tagged(one.manifest, 'v1'), platform },
    { ...tagged(two.manifest, 'v2'), platform },
  ];
  const text = `${JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, null, 3)}\n`;
  await serving(
    (root) => writeLayout(path.join(root, 'crane'), text, all),
    async (served) => {
      await assertPulled(served, 'crane', 'v1', one.manifest);
      await assertPulled(served, 'crane', 'v2', two.manifest);
    },
  );
});

test('members that nobody here knows outlive pushes and deletes', async () => {
  const extra = { 'x-vendor': { deep: [1, { two: null }] }, urls: ['https://example.com'], data: 'e30=' };
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    annotations: { who: 'somebody' },
    'x-top': [true],
    manifests: [{ ...tagged(one.manifest, 'old', { annotations: { kept: 'yes' } }), ...extra }],
  };
  await serving(
    (root) => writeLayout(path.join(root, 'extra'), index, all),
    async (served) => {
      await pushImage(served, 'extra', two, 'new');
      const file = path.join(served.root, 'extra/index.json');
      const after = JSON.parse(await readFile(file, 'utf8')) as typeof index;
      assert.deepEqual({ ...after, manifests: [] }, { ...index, manifests: [] });
      assert.deepEqual(after.manifests[0], index.manifests[0]);
      assert.equal(after.manifests.length, 2);
      // A tag that goes takes its name along and nothing else.
      expectStatus(await served.request('DELETE', '/v2/extra/manifests/old'), 202);
      const untagged = JSON.parse(await readFile(file, 'utf8')) as typeof index;
      const row = untagged.manifests.find(({ digest }) => digest === one.manifest.digest);
      assert.deepEqual(row, { ...descriptorOf(one.manifest), annotations: { kept: 'yes' }, ...extra });
    },
  );
});

test('of two descriptors with one tag the first is served; a push and a delete leave one or none', async () => {
  const index = { schemaVersion: 2, manifests: [tagged(one.manifest, 'v1'), tagged(two.manifest, 'v1')] };
  await serving(
    async (root) => {
      for (const repo of ['twice', 'deleted']) await writeLayout(path.join(root, repo), index, all);
    },
    async (served) => {
      assert.deepEqual(await tagsOf(served, 'twice'), ['v1']);
      await assertPulled(served, 'twice', 'v1', one.manifest);
      await pushImage(served, 'twice', two, 'v1');
      await assertPulled(served, 'twice', 'v1', two.manifest);
      await assertPulled(served, 'twice', one.manifest.digest, one.manifest);
      const text = await readFile(path.join(served.root, 'twice/index.json'), 'utf8');
      assert.equal(text.split('"v1"').length, 2);
      expectStatus(await served.request('DELETE', '/v2/deleted/manifests/v1'), 202);
      assert.deepEqual(await tagsOf(served, 'deleted'), []);
      await assertPulled(served, 'deleted', two.manifest.digest, two.manifest);
    },
  );
});

test('descriptors of content that is gone, or cannot be read, are kept and harm no other', async () => {
  const dead = contentOf('dead', OCI_MANIFEST);
  const damaged = contentOf(manifestOf({ x: 1 }).bytes, OCI_MANIFEST);
  const broken = [
    null,
    'x',
    {},
    { digest: 'sha256:short' },
    { mediaType: OCI_MANIFEST, digest: one.manifest.digest },
  ];
  const index = {
    schemaVersion: 2,
    manifests: [tagged(dead, 'dead'), ...broken, tagged(damaged, 'damaged'), tagged(one.manifest, 'v1')],
  };
  await serving(
    async (root) => {
      await writeLayout(path.join(root, 'partly'), index, [...all, damaged]);
      const file = path.join(root, 'partly/blobs', ...damaged.digest.split(':'));
      await writeFile(file, Buffer.alloc(damaged.bytes.length));
    },
    async (served) => {
      await assertPulled(served, 'partly', 'v1', one.manifest);
      const gone = await served.request('GET', '/v2/partly/manifests/dead');
      assert.equal(statusAndCode(gone), '404 MANIFEST_UNKNOWN');
      // Damage is never served as if it were whole.
      const bad = await served.request('GET', '/v2/partly/manifests/damaged');
      assert.equal(statusAndCode(bad), '404 MANIFEST_UNKNOWN');
      await pushImage(served, 'partly', two, 'v2');
      const file = path.join(served.root, 'partly/index.json');
      const { manifests } = JSON.parse(await readFile(file, 'utf8')) as { manifests: unknown[] };
      for (const descriptor of broken)
        assert.ok(manifests.some((row) => JSON.stringify(row) === JSON.stringify(descriptor)));
      assert.equal(manifests.length, index.manifests.length + 1);
      const lines = await served.logLines();
      assert.ok(lines.some(({ repository, digest }) => repository === 'partly' && digest === dead.digest));
    },
  );
});

test('content of any media type is served as it is, by tag and digest', async () => {
  const odd = contentOf(Buffer.from([0, 1, 2, 255]), 'application/vnd.example.strange+bytes');
  const index = { schemaVersion: 2, manifests: [tagged(odd, 'odd')] };
  await serving(
    (root) => writeLayout(path.join(root, 'odd'), index, [odd]),
    async (served) => {
      await assertPulled(served, 'odd', 'odd', odd);
      await assertPulled(served, 'odd', odd.digest, odd);
    },
  );
});

test('full image names as tags are listed and served as they stand', async () => {
  const names = ['docker.io/library/app:latest', 'app:1.0', 'with space', 'ümlaut', `${'x'.repeat(200)}`];
  const index = { schemaVersion: 2, manifests: names.map((name) => tagged(one.manifest, name)) };
  await serving(
    (root) => writeLayout(path.join(root, 'names'), index, all),
    async (served) => {
      assert.deepEqual(
        await tagsOf(served, 'names'),
        [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
      await assertPulled(served, 'names', 'app:1.0', one.manifest);
      await assertPulled(served, 'names', encodeURIComponent('with space'), one.manifest);
      expectStatus(await served.request('DELETE', '/v2/names/manifests/app:1.0'), 202);
      const page = await served.request('GET', '/v2/names/tags/list?n=1');
      const next = /<([^>]+)>/.exec(page.headers.link?.toString() ?? '')?.[1] ?? '';
      assert.equal((await served.request('GET', next)).status, 200);
    },
  );
});

test('repositories nest, in any order, with folders that are none between them', async () => {
  const index = { schemaVersion: 2, manifests: [tagged(one.manifest, 'v1')] };
  const repos = ['a', 'a/b/c', 'x/y/z', 'x/y/z/deeper/still'];
  await serving(
    async (root) => {
      for (const repo of repos) await writeLayout(path.join(root, repo), index, all);
      await mkdir(path.join(root, 'empty/folder'), { recursive: true });
      await writeFile(path.join(root, 'stray-file'), 'x');
      await writeLayout(path.join(root, 'UPPER'), index, all);
      await symlink(path.join(root, 'a'), path.join(root, 'linked'));
    },
    async (served) => {
      const { repositories } = jsonOf(await served.request('GET', '/v2/_catalog')) as {
        repositories: string[];
      };
      assert.deepEqual(repositories, ['a', 'a/b/c', 'linked', 'linked/b/c', 'x/y/z', 'x/y/z/deeper/still']);
      for (const repo of [...repos, 'linked']) await assertPulled(served, repo, 'v1', one.manifest);
    },
  );
});

test('what an index lists twice, or in a circle of names, is read once', async () => {
  const layer = contentOf('listed layer', OCI_LAYER);
  const odd = indexOf([descriptorOf(one.manifest), descriptorOf(one.manifest), descriptorOf(layer)]);
  const outer = indexOf(Array.from({ length: 50 }, () => descriptorOf(odd)));
  const index = {
    schemaVersion: 2,
    manifests: [tagged(outer, 'v1'), descriptorOf(outer), tagged(odd, 'v2')],
  };
  await serving(
    (root) => writeLayout(path.join(root, 'circle'), index, [...all, odd, outer, layer]),
    async (served) => {
      await assertPulled(served, 'circle', 'v1', outer);
      await assertPulled(served, 'circle', one.manifest.digest, one.manifest);
    },
  );
});

test('forty levels of indexes, two children each, are walked by content and not by path', async () => {
  const levels: Content[] = [one.manifest];
  for (let level = 0; level < 40; level += 1) {
    const below = levels.at(-1) ?? one.manifest;
    levels.push(
      indexOf([descriptorOf(below), descriptorOf(below)], { annotations: { level: String(level) } }),
    );
  }
  const top = levels.at(-1) ?? one.manifest;
  const index = { schemaVersion: 2, manifests: [tagged(top, 'top')] };
  await serving(
    (root) => writeLayout(path.join(root, 'tower'), index, [...all, ...levels]),
    async (served) => {
      await assertPulled(served, 'tower', one.manifest.digest, one.manifest);
      expectStatus(await served.request('DELETE', `/v2/tower/manifests/${top.digest}`), 202);
    },
  );
});

test('a layout of another version, or an index.json that is none, does not stop the others', async () => {
  const index = { schemaVersion: 2, manifests: [tagged(one.manifest, 'v1')] };
  await serving(
    async (root) => {
      await writeLayout(path.join(root, 'good'), index, all);
      await writeLayout(path.join(root, 'later'), index, all, '{"imageLayoutVersion":"2.0.0"}');
      await writeLayout(path.join(root, 'broken'), '{"schemaVersion":2,"manif', all);
      await writeLayout(path.join(root, 'void'), '', all);
      await writeLayout(path.join(root, 'list'), '[]', all);
    },
    async (served) => {
      await assertPulled(served, 'good', 'v1', one.manifest);
      for (const repo of ['broken', 'list']) {
        assert.deepEqual(await tagsOf(served, repo), []);
        // What is in a file that cannot be read must not be lost by a push.
        const push = await served.request('PUT', `/v2/${repo}/manifests/v2`, {
          headers: { 'content-type': OCI_MANIFEST },
          body: one.manifest.bytes,
        });
        assert.equal(statusAndCode(push), '500 CONTENT_CORRUPT');
      }
      // An empty file has nothing to lose.
      await pushImage(served, 'void', two, 'v2');
      await assertPulled(served, 'void', 'v2', two.manifest);
    },
  );
});

test('sha512 manifests and blobs of others are served', async () => {
  const wide = { ...one.manifest, digest: digestOf(one.manifest.bytes, 'sha512') };
  const index = { schemaVersion: 2, manifests: [tagged(wide, 'wide')] };
  await serving(
    (root) => writeLayout(path.join(root, 'wide'), index, [wide, ...all]),
    (served) => assertPulled(served, 'wide', 'wide', wide),
  );
});
