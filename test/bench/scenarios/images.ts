/** Whole images, and pushes into repositories small and large. */
import { FIXTURE_SHAPE } from '../fixtures/stores.ts';
import { imageOf } from '../load/image.ts';
import { pushImage } from '../load/operations.ts';
import type { ImagePushesPlan, ImageShape } from '../load/plan.ts';
import { fetchAndHash } from './checks.ts';
import type { LoadScenario, ScenarioCase, Target, TurnContext } from './scenario.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Ten layers as in ordinary images: one base, some packages, many small changes; 24.6 MiB in all. */
const TEN_LAYERS: ImageShape = {
  layerSizesBytes: [16 * MIB, 4 * MIB, 2 * MIB, MIB, MIB, 256 * KIB, 128 * KIB, 128 * KIB, 64 * KIB, 4 * KIB],
};
const SMALL: ImageShape = { layerSizesBytes: [4 * KIB] };

interface Pushes {
  repositories: string[];
  shape: ImageShape;
  clients: number;
  pushesMax: number;
}

function imagePushes(target: Target, turn: TurnContext, { pushesMax, ...what }: Pushes): ImagePushesPlan {
  const opsMax = turn.quick ? Math.ceil(pushesMax / 4) : pushesMax;
  const limit = { durationMs: turn.durationMs, opsMax };
  return { kind: 'image-pushes', origin: target.origin, limit, salt: turn.salt, style: 'patch', ...what };
}

function pushCase(name: string, what: Pushes): ScenarioCase {
  return {
    name,
    plan: (target, turn) => imagePushes(target, turn, what),
    verify: ({ connection }, { salt }) => {
      const { manifest } = imageOf(`${salt}-0`, what.shape);
      return fetchAndHash(connection, `/v2/${what.repositories[0]}/manifests/${salt}-0`, manifest.digest);
    },
  };
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

const imagePush: LoadScenario = {
  kind: 'load',
  name: 'image-push',
  title: 'Push of whole images of 10 layers, 24.6 MiB (an operation is an image)',
  store: 'empty',
  writes: true,
  cases: [1, 4].map((clients) => {
    const repositories = numbered('bench/image', clients);
    const name = clients === 1 ? '1 client' : `${clients} clients`;
    return pushCase(name, { repositories, shape: TEN_LAYERS, clients, pushesMax: 16 });
  }),
};

const PULLED = numbered('bench/pulled', 4);

const imagePull: LoadScenario = {
  kind: 'load',
  name: 'image-pull',
  title: 'Pull of whole images of 10 layers, 24.6 MiB (an operation is an image)',
  store: 'empty',
  writes: false,
  seed: async ({ connection }) => {
    for (const repository of PULLED) {
      await pushImage(
        connection,
        { repository, tag: repository.replace('/', '-'), style: 'patch' },
        imageOf(repository, TEN_LAYERS),
      );
    }
  },
  cases: [1, 4].map((clients) => ({
    name: clients === 1 ? '1 client' : `${clients} clients`,
    plan: ({ origin }, { durationMs }) => ({
      kind: 'image-pulls',
      origin,
      clients,
      limit: { durationMs, opsMax: Number.POSITIVE_INFINITY },
      images: PULLED.map((repository) => ({
        repository,
        tag: repository.replace('/', '-'),
        name: repository,
        shape: TEN_LAYERS,
      })),
    }),
  })),
};

const smallImagePush: LoadScenario = {
  kind: 'load',
  name: 'small-image-push',
  title: 'Push of small images: config, one layer of 4 KiB, manifest; 9 requests, into 8 repositories',
  store: 'empty',
  writes: true,
  cases: [1, 8].map((clients) => {
    const what = { repositories: numbered('bench/small', 8), shape: SMALL, clients, pushesMax: 2000 };
    return pushCase(clients === 1 ? '1 client' : `${clients} clients`, what);
  }),
};

const LARGE = ['bench/tags-100000'];
const WRITERS = 64;

function onlyZot(inner: ScenarioCase): ScenarioCase {
  return {
    ...inner,
    plan: (target, turn) => (target.subject.kind === 'zot' ? inner.plan(target, turn) : null),
  };
}

function manifestPushCase(name: string, repositories: string[]): ScenarioCase {
  return {
    name,
    plan: ({ origin }, turn) => ({
      kind: 'manifest-pushes',
      origin,
      clients: WRITERS,
      limit: { durationMs: turn.durationMs, opsMax: turn.quick ? 1000 : 8000 },
      repositories,
      shape: FIXTURE_SHAPE,
      imageName: LARGE[0] ?? '',
      salt: turn.salt,
    }),
  };
}

const SMALL_REPOSITORIES = numbered('bench/writer', WRITERS);

const pushManyTags: LoadScenario = {
  kind: 'load',
  name: 'push-many-tags',
  title: 'Small images, or only manifests, pushed into a repository of 100000 tags and into 64 small ones',
  store: 'tags',
  writes: true,
  seed: async ({ connection }) => {
    const image = imageOf(LARGE[0] ?? '', FIXTURE_SHAPE);
    for (const repository of SMALL_REPOSITORIES) {
      await pushImage(connection, { repository, tag: 'first', style: 'patch' }, image);
    }
  },
  cases: [
    pushCase('64 writers, small repositories', {
      repositories: SMALL_REPOSITORIES,
      shape: SMALL,
      clients: WRITERS,
      pushesMax: 2000,
    }),
    onlyZot(
      pushCase('64 writers, 100000 tags', {
        repositories: LARGE,
        shape: SMALL,
        clients: WRITERS,
        pushesMax: 2000,
      }),
    ),
    pushCase('1 writer, small repositories', {
      repositories: SMALL_REPOSITORIES,
      shape: SMALL,
      clients: 1,
      pushesMax: 500,
    }),
    onlyZot(
      pushCase('1 writer, 100000 tags', { repositories: LARGE, shape: SMALL, clients: 1, pushesMax: 500 }),
    ),
    manifestPushCase('manifests, 64 writers, small repositories', SMALL_REPOSITORIES),
    onlyZot(manifestPushCase('manifests, 64 writers, 100000 tags', LARGE)),
  ],
};

export const imageScenarios: LoadScenario[] = [imagePush, imagePull, smallImagePush, pushManyTags];
