import { contentOf, imageOf, indexOf, randomContent } from './images.ts';
import type { Content, Image } from './images.ts';
import { finishUpload, patchUpload, pushBlob, pushImage, pushManifest, requireStatus } from './pushing.ts';
import type { Answer, RegistryClient } from './registry-client.ts';
import type { SeededRandom } from './seeded-random.ts';

/** One repository, with what was prepared in it under names of the scenario's choice. */
export interface Scene {
  readonly client: RegistryClient;
  readonly repo: string;
  readonly random: SeededRandom;
  readonly kept: Map<string, Content | Image | Answer>;
}

/** A request, or a few that belong together, and what it may be answered with. */
export interface Scenario {
  readonly name: string;
  prepare(scene: Scene): Promise<void>;
  /** Sends it; the answer of the last request, or of the first that failed. */
  run(scene: Scene): Promise<Answer>;
  readonly good: readonly number[];
  /** Also good when it was carried out before. */
  readonly repeated?: readonly number[];
  /** Whatever goes wrong is 503, since that is what the question is about. */
  readonly asksForReadiness?: boolean;
  /** Its answer is a stream, which a fault in the middle can only cut off. */
  readonly streams?: boolean;
  /** Looks at the answer of a run that succeeded. */
  verify?(scene: Scene, answer: Answer): Promise<void>;
}

const TAG = 'base';

function image(scene: Scene, name = 'image'): Image {
  return scene.kept.get(name) as Image;
}

function content(scene: Scene, name: string): Content {
  return scene.kept.get(name) as Content;
}

/** An image with a tag, the blobs of a second image, a loose blob. */
async function fill(scene: Scene): Promise<void> {
  const { client, repo, random, kept } = scene;
  const layer = randomContent(random, 3000);
  const first = imageOf([layer], `first ${repo}`);
  const second = imageOf([layer], `second ${repo}`);
  const loose = randomContent(random, 2000);
  await pushImage(client, repo, first, TAG);
  for (const blob of [...second.blobs, loose]) requireStatus(await pushBlob(client, repo, blob), [201]);
  kept.set('image', first).set('second', second).set('loose', loose).set('blob', randomContent(random, 5000));
}

/** As `fill`, and the image once more under a second tag, in a repository that shares nothing. */
async function fillOther(scene: Scene): Promise<void> {
  await fill(scene);
  const loose = content(scene, 'loose');
  requireStatus(await pushBlob(scene.client, `${scene.repo}/source`, loose), [201]);
}

function requireSame(found: Buffer, expected: Buffer, what: string): void {
  if (!found.equals(expected)) throw new Error(`${what}: ${found.length} bytes that are not those pushed`);
}

const path = (scene: Scene, rest: string): string => `/v2/${scene.repo}/${rest}`;

const blobPushes: readonly Scenario[] = (
  ['post', 'post and put', 'patch and put', 'patches and put'] as const
).map((way) => ({
  name: `push of a blob by ${way}`,
  prepare: fill,
  run: (scene) => pushBlob(scene.client, scene.repo, content(scene, 'blob'), way),
  good: [201],
  verify: async (scene) => {
    const blob = content(scene, 'blob');
    const answer = await scene.client.send('GET', path(scene, `blobs/${blob.digest}`));
    requireSame(requireStatus(answer, [200]).body, blob.bytes, 'the blob');
  },
}));

const uploads: readonly Scenario[] = [
  {
    name: 'upload that is resumed where the registry says it is',
    prepare: async (scene) => {
      await fill(scene);
      const { bytes } = content(scene, 'blob');
      const begun = await scene.client.send('POST', path(scene, 'blobs/uploads/'));
      const half = await patchUpload(
        scene.client,
        String(begun.headers.location),
        bytes.subarray(0, 1000),
        0,
      );
      scene.kept.set('session', requireStatus(half, [202]));
    },
    run: async (scene) => {
      const { bytes, digest } = content(scene, 'blob');
      const location = String((scene.kept.get('session') as Answer).headers.location);
      const status = await scene.client.send('GET', location);
      if (status.status !== 204) return status;
      const has = Number(String(status.headers.range).split('-')[1]) + 1;
      const rest = bytes.subarray(has);
      const sent = rest.length === 0 ? status : await patchUpload(scene.client, location, rest, has);
      return sent.status >= 300 ? sent : finishUpload(scene.client, sent, digest);
    },
    good: [201],
    repeated: [404],
  },
  {
    name: 'status of an upload',
    prepare: async (scene) => {
      await fill(scene);
      scene.kept.set('session', await scene.client.send('POST', path(scene, 'blobs/uploads/')));
    },
    run: (scene) => scene.client.send('GET', String((scene.kept.get('session') as Answer).headers.location)),
    good: [204],
  },
  {
    name: 'cancelling of an upload',
    prepare: async (scene) => {
      await fill(scene);
      scene.kept.set('session', await scene.client.send('POST', path(scene, 'blobs/uploads/')));
    },
    run: (scene) =>
      scene.client.send('DELETE', String((scene.kept.get('session') as Answer).headers.location)),
    good: [204],
    repeated: [404],
  },
  {
    name: 'mount of a blob',
    prepare: fillOther,
    run: (scene) => {
      const { digest } = content(scene, 'loose');
      const query = `mount=${digest}&from=${scene.repo}/source`;
      return scene.client.send('POST', `/v2/${scene.repo}/target/blobs/uploads/?${query}`);
    },
    // 202 asks the client to upload the blob instead.
    good: [201, 202],
  },
];

const manifestPushes: readonly Scenario[] = [
  {
    name: 'push of a new tag',
    prepare: fill,
    run: (scene) => pushManifest(scene.client, scene.repo, image(scene, 'second').manifest, 'new'),
    good: [201],
    verify: (scene) => requireTag(scene, 'new', image(scene, 'second').manifest),
  },
  {
    name: 'move of a tag',
    prepare: fill,
    run: (scene) => pushManifest(scene.client, scene.repo, image(scene, 'second').manifest, TAG),
    good: [201],
    verify: (scene) => requireTag(scene, TAG, image(scene, 'second').manifest),
  },
  {
    name: 'first manifest of a repository',
    prepare: async (scene) => {
      await fill(scene);
      for (const blob of image(scene).blobs)
        requireStatus(await pushBlob(scene.client, `${scene.repo}/new`, blob), [201]);
    },
    run: (scene) => pushManifest(scene.client, `${scene.repo}/new`, image(scene).manifest, TAG),
    good: [201],
  },
  {
    name: 'push of an index',
    prepare: fill,
    run: (scene) => pushManifest(scene.client, scene.repo, indexOf([image(scene).manifest]), 'all'),
    good: [201],
    verify: (scene) => requireTag(scene, 'all', indexOf([image(scene).manifest])),
  },
];

async function requireTag(scene: Scene, tag: string, expected: Content): Promise<void> {
  const answer = await scene.client.send('GET', path(scene, `manifests/${tag}`));
  requireSame(requireStatus(answer, [200]).body, expected.bytes, `the tag ${tag}`);
}

const deletes: readonly Scenario[] = [
  {
    name: 'delete of a tag',
    prepare: fill,
    run: (scene) => scene.client.send('DELETE', path(scene, `manifests/${TAG}`)),
    good: [202],
    repeated: [404],
  },
  {
    name: 'delete of a manifest',
    prepare: fill,
    run: (scene) => scene.client.send('DELETE', path(scene, `manifests/${image(scene).manifest.digest}`)),
    good: [202],
    repeated: [404],
  },
  {
    name: 'delete of a blob',
    prepare: fill,
    run: (scene) => scene.client.send('DELETE', path(scene, `blobs/${content(scene, 'loose').digest}`)),
    good: [202],
    repeated: [404],
  },
];

const get = (
  name: string,
  what: (scene: Scene) => string,
  more: Partial<Scenario> & { method?: string } = {},
): Scenario => ({
  name,
  prepare: fill,
  run: (scene) => scene.client.send(more.method ?? 'GET', what(scene)),
  good: [200],
  ...more,
});

const reads: readonly Scenario[] = [
  get('manifest by tag', (scene) => path(scene, `manifests/${TAG}`), {
    verify: async (scene, { body }) => requireSame(body, image(scene).manifest.bytes, 'the manifest'),
  }),
  get('manifest by digest', (scene) => path(scene, `manifests/${image(scene).manifest.digest}`), {
    verify: async (scene, { body }) => requireSame(body, image(scene).manifest.bytes, 'the manifest'),
  }),
  get('head of a manifest', (scene) => path(scene, `manifests/${TAG}`), { method: 'HEAD' }),
  get('blob', (scene) => path(scene, `blobs/${content(scene, 'loose').digest}`), {
    streams: true,
    verify: async (scene, { body }) => requireSame(body, content(scene, 'loose').bytes, 'the blob'),
  }),
  get('head of a blob', (scene) => path(scene, `blobs/${content(scene, 'loose').digest}`), {
    method: 'HEAD',
  }),
  get('list of tags', (scene) => path(scene, 'tags/list'), {
    verify: async (_scene, { body }) =>
      requireSame(Buffer.from(String(JSON.parse(body.toString()).tags)), Buffer.from(TAG), 'tags'),
  }),
  get('catalog', () => '/v2/_catalog?n=5'),
  get('referrers', (scene) => path(scene, `referrers/${image(scene).manifest.digest}`)),
  get('readiness', () => '/readyz', { asksForReadiness: true }),
];

export const scenarios: readonly Scenario[] = [
  ...blobPushes,
  ...uploads,
  ...manifestPushes,
  ...deletes,
  ...reads,
];

/** Everything that requests of a scenario could have changed, as the registry shows it. */
export async function stateOf(scene: Scene): Promise<string[]> {
  const { client, repo, kept } = scene;
  const paths = [
    ...[TAG, 'new', 'all', image(scene).manifest.digest, image(scene, 'second').manifest.digest].map(
      (reference) => `${repo}/manifests/${reference}`,
    ),
    ...[content(scene, 'loose'), content(scene, 'blob')].map(({ digest }) => `${repo}/blobs/${digest}`),
    `${repo}/target/blobs/${content(scene, 'loose').digest}`,
    `${repo}/new/manifests/${TAG}`,
  ];
  const session = kept.get('session');
  const state: string[] = [];
  for (const each of paths) {
    const answer = requireStatus(await client.send('GET', `/v2/${each}`), [200, 404]);
    state.push(`${each} ${answer.status === 404 ? 'absent' : contentOf(answer.body).digest}`);
  }
  if (session !== undefined && 'headers' in session) {
    // A part that arrived may be kept: whether the session is there is what counts.
    state.push(`session ${(await client.send('GET', String(session.headers.location))).status}`);
  }
  return state;
}
