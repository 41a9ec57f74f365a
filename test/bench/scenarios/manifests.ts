/** Reading manifests and lists: the cost of a request, not of its bytes. */
import { FIXTURE_SHAPE, numberedRepository } from '../fixtures/stores.ts';
import { MANIFEST_TYPE, imageOf } from '../load/image.ts';
import { ask, pushImage } from '../load/operations.ts';
import type { RequestsPlan } from '../load/plan.ts';
import type { WrongSignIns } from '../load/wrong-sign-ins.ts';
import type { LoadScenario, ScenarioCase, Target, TurnContext } from './scenario.ts';
import { fetchAndHash } from './checks.ts';

const REPOSITORY = 'bench/small';
const IMAGE = imageOf(REPOSITORY, FIXTURE_SHAPE);
const CLIENTS = 8;
/** So many different tags or repositories are asked for in turn, spread over all that exist. */
const SPREAD = 1000;

interface Reads {
  paths: string[];
  clients?: number;
  method?: 'GET' | 'HEAD';
  accept?: string | null;
  guesses?: WrongSignIns;
}

function reads(target: Target, turn: TurnContext, what: Reads): RequestsPlan {
  return {
    kind: 'requests',
    origin: target.origin,
    clients: what.clients ?? CLIENTS,
    limit: { durationMs: turn.durationMs, opsMax: Number.POSITIVE_INFINITY },
    method: what.method ?? 'GET',
    paths: what.paths,
    accept: what.accept === undefined ? MANIFEST_TYPE : what.accept,
    ...(target.subject.authorization === undefined ? {} : { authorization: target.subject.authorization }),
    ...(what.guesses === undefined ? {} : { guesses: what.guesses }),
    expectStatus: 200,
  };
}

function readCase(name: string, what: Reads): ScenarioCase {
  return { name, plan: (target, turn) => reads(target, turn, what) };
}

const TAG_PATH = `/v2/${REPOSITORY}/manifests/latest`;
const DIGEST_PATH = `/v2/${REPOSITORY}/manifests/${IMAGE.manifest.digest}`;
const BLOB_PATHS = IMAGE.blobs.map((blob) => `/v2/${REPOSITORY}/blobs/${blob.digest}`);

async function seedSmallImage({ connection }: Target): Promise<void> {
  await pushImage(connection, { repository: REPOSITORY, tag: 'latest', style: 'patch' }, IMAGE);
  await fetchAndHash(connection, TAG_PATH, IMAGE.manifest.digest);
}

const manifestGet: LoadScenario = {
  kind: 'load',
  name: 'manifest-get',
  title: 'GET of one small manifest',
  store: 'empty',
  writes: false,
  seed: seedSmallImage,
  cases: [
    readCase('by tag, 1 client', { paths: [TAG_PATH], clients: 1 }),
    readCase('by tag, 8 clients', { paths: [TAG_PATH] }),
    readCase('by digest, 8 clients', { paths: [DIGEST_PATH] }),
  ],
};

const manifestGetWithAccess: LoadScenario = {
  kind: 'load',
  name: 'manifest-get-access',
  title: 'GET of one small manifest: nothing configured beside signing in under 1000 policies',
  store: 'empty',
  writes: false,
  access: true,
  seed: seedSmallImage,
  cases: [
    readCase('by tag, 8 clients', { paths: [TAG_PATH] }),
    readCase('by digest, 8 clients', { paths: [DIGEST_PATH] }),
  ],
};

const GUESSES = 200;

/** Both kinds of case on the registry with passwords; the open one beside it shows what is no matter of passwords. */
const failingSignIns: LoadScenario = {
  kind: 'load',
  name: 'failing-sign-ins',
  title: 'GET of one small manifest by somebody signed in, while others guess passwords',
  store: 'empty',
  writes: false,
  access: true,
  seed: seedSmallImage,
  cases: [
    readCase('quiet', { paths: [TAG_PATH] }),
    readCase(`${GUESSES} guesses a second from one address`, {
      paths: [TAG_PATH],
      guesses: { perSecond: GUESSES, addresses: 1 },
    }),
    readCase(`${GUESSES} guesses a second from 200 addresses`, {
      paths: [TAG_PATH],
      guesses: { perSecond: GUESSES, addresses: 200 },
    }),
  ],
};

const head: LoadScenario = {
  kind: 'load',
  name: 'head',
  title: 'HEAD, 8 clients',
  store: 'empty',
  writes: false,
  seed: seedSmallImage,
  cases: [
    readCase('manifest by tag', { paths: [TAG_PATH], method: 'HEAD' }),
    readCase('blob', { paths: BLOB_PATHS, method: 'HEAD', accept: null }),
  ],
};

/** Paths of tags spread evenly over a repository of so many. */
function tagPaths(tags: number): string[] {
  const count = Math.min(tags, SPREAD);
  return Array.from({ length: count }, (_, index) => {
    return `/v2/bench/tags-${tags}/manifests/t${Math.floor((index * tags) / count)}`;
  });
}

function tagsCase(name: string, tags: number, what: Reads): ScenarioCase {
  const possible = (target: Target): boolean => tags <= 10_000 || target.subject.kind === 'zot';
  return { name, plan: (target, turn) => (possible(target) ? reads(target, turn, what) : null) };
}

const manyTags: LoadScenario = {
  kind: 'load',
  name: 'manifest-get-many-tags',
  title: `GET of manifests by tag in a repository of many tags, up to ${SPREAD} different ones, 8 clients`,
  store: 'tags',
  writes: false,
  seed: async ({ connection }) => {
    const { manifest } = imageOf('bench/tags-10000', FIXTURE_SHAPE, 't5000');
    await fetchAndHash(connection, '/v2/bench/tags-10000/manifests/t5000', manifest.digest);
  },
  cases: [1, 10_000, 100_000].map((tags) => tagsCase(`${tags} tags`, tags, { paths: tagPaths(tags) })),
};

const tagList: LoadScenario = {
  kind: 'load',
  name: 'tag-list',
  title: 'Tag list, 8 clients (docker-registry 2.8 has no paging: it always answers with all)',
  store: 'tags',
  writes: false,
  cases: [
    tagsCase('1 tag', 1, { paths: ['/v2/bench/tags-1/tags/list'], accept: null }),
    tagsCase('page of 100 of 10000 tags', 10_000, {
      paths: ['/v2/bench/tags-10000/tags/list?n=100'],
      accept: null,
    }),
    tagsCase('all of 10000 tags', 10_000, { paths: ['/v2/bench/tags-10000/tags/list'], accept: null }),
    tagsCase('page of 100 of 100000 tags', 100_000, {
      paths: ['/v2/bench/tags-100000/tags/list?n=100&last=t5'],
      accept: null,
    }),
  ],
};

function referrersPath(referrers: number): string {
  const repository = `bench/referrers-${referrers}`;
  return `/v2/${repository}/referrers/${imageOf(repository, FIXTURE_SHAPE, 't0').manifest.digest}`;
}

const referrers: LoadScenario = {
  kind: 'load',
  name: 'referrers',
  title: 'Referrers of a manifest, first page, 8 clients (docker-registry has no referrers API)',
  store: 'referrers',
  writes: false,
  referrers: true,
  seed: async ({ connection }) => {
    const answer = await ask(connection, { method: 'GET', path: referrersPath(1), keepBody: true }, 200);
    if (answer.body?.includes('application/vnd.example.signature') !== true)
      throw new Error('no referrer is listed');
  },
  cases: [
    readCase('1 referrer', { paths: [referrersPath(1)], accept: null }),
    readCase('10000 referrers', { paths: [referrersPath(10_000)], accept: null }),
  ],
};

function manyRepositories(count: 1000 | 10_000): LoadScenario {
  const step = count / SPREAD;
  const paths = Array.from(
    { length: SPREAD },
    (_, index) => `/v2/${numberedRepository(index * step)}/manifests/t0`,
  );
  return {
    kind: 'load',
    name: `repositories-${count}`,
    title: `${count} repositories, 8 clients`,
    store: `repositories-${count}`,
    writes: false,
    seed: async ({ connection }) => {
      const name = numberedRepository(0);
      const { manifest } = imageOf(name, FIXTURE_SHAPE, 't0');
      await fetchAndHash(connection, `/v2/${name}/manifests/t0`, manifest.digest);
    },
    cases: [
      readCase(`manifest GET over ${SPREAD} of them`, { paths }),
      readCase('catalog, first page of 100', { paths: ['/v2/_catalog?n=100'], accept: null }),
    ],
  };
}

export const manifestScenarios: LoadScenario[] = [
  manifestGet,
  manifestGetWithAccess,
  failingSignIns,
  head,
  manyTags,
  tagList,
  referrers,
  manyRepositories(1000),
  manyRepositories(10_000),
];
